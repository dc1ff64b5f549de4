-- title: How many of the true neighbours a vector index finds, over a few rows (l2)
-- kind: read
-- returns: probes int, found int, wanted int
-- params: table name, column name, operators name, probes int, neighbours int
-- needs: the extension vector, and select on the table
-- cost: reads the whole table once for each probe
-- lock: access share
-- since: 14
-- pooler: no
-- Sorted by the distance alone, the planner may take the index; by a sum it cannot, and reads every row.
with asked as (
  select t.{column} as point from {table} t where t.{column} is not null limit %(probes)s
)
select count(*)::int as probes,
       coalesce(sum((select count(*) from unnest(near.rows) as one (place)
                     where one.place = any(true_ones.rows))), 0)::int as found,
       coalesce(sum(cardinality(true_ones.rows)), 0)::int as wanted
from asked
  cross join lateral (
    select array_agg(n.ctid) as rows from (
      select t.ctid from {table} t order by t.{column} operator({operators}.<->) asked.point
      limit %(neighbours)s) n
  ) near
  cross join lateral (
    select array_agg(n.ctid) as rows from (
      select t.ctid from {table} t order by (t.{column} operator({operators}.<->) asked.point) + 0
      limit %(neighbours)s) n
  ) true_ones
