-- title: How many of the true neighbours a vector index finds, over a few rows (cosine)
-- kind: read
-- returns: probes int, found int, wanted int, asked int
-- params: table name, column name, operators name, index int, probes int, neighbours int
-- needs: the extension vector, and select on the table
-- cost: reads the whole table once for each probe
-- lock: access share
-- since: 14
-- pooler: no
-- Sorted by the distance alone, the planner may take the index; by a sum it cannot, and reads every row. Of
-- rows that are equally near any is right, so that distances are compared. `asked`: how often this very
-- index was scanned meanwhile, by its oid; less than once a probe, the planner took another way.
with asked as materialized (
  select t.{column} as point, pg_stat_get_xact_numscans(%(index)s) as before
  from {table} t where t.{column} is not null limit %(probes)s
)
select count(*)::int as probes,
       coalesce(sum((select count(*) from unnest(near.distances) as one (distance)
                     where one.distance <= true_ones.farthest)), 0)::int as found,
       coalesce(sum(true_ones.wanted), 0)::int as wanted,
       coalesce(pg_stat_get_xact_numscans(%(index)s) - min(asked.before), 0)::int as asked
from asked
  cross join lateral (
    select array_agg(n.distance) as distances from (
      select t.{column} operator({operators}.<=>) asked.point as distance
      from {table} t order by t.{column} operator({operators}.<=>) asked.point
      limit %(neighbours)s) n
  ) near
  cross join lateral (
    select max(n.distance) as farthest, count(n.distance) as wanted from (
      select (t.{column} operator({operators}.<=>) asked.point) + 0 as distance
      from {table} t order by (t.{column} operator({operators}.<=>) asked.point) + 0
      limit %(neighbours)s) n
  ) true_ones
