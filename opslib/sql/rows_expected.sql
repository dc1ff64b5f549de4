-- title: About how many rows are read when tables are read through
-- kind: read
-- returns: schema text, name text, rows_estimate int
-- params: schemas list, names list
-- needs: nothing
-- cost: one row a table, from the catalog, and the size of the files of those that were never analyzed
-- lock: access share for a moment on those that were never analyzed
-- since: 14
-- pooler: yes
-- With partitions, and tables that inherit. A table that was never analyzed, as after a restore, has as many
-- rows as its size holds, a value of no fixed length taken for 32 bytes.
with recursive family as (
  select n.nspname, c.relname, c.oid as number
  from unnest(%(schemas)s::text[], %(names)s::text[]) as w (schema, name)
  join pg_namespace n on n.nspname = w.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = w.name
  union
  select f.nspname, f.relname, i.inhrelid from family f join pg_inherits i on i.inhparent = f.number
)
select f.nspname::text as schema, f.relname::text as name,
       sum(case when c.relpages > 0 and c.reltuples >= 0 then c.reltuples
           else coalesce(pg_relation_size(c.oid), 0) / w.bytes end)::bigint as rows_estimate
from family f
join pg_class c on c.oid = f.number
cross join lateral (
  select 28 + coalesce(sum(case when a.attlen > 0 then a.attlen else 32 end), 0) as bytes
  from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) w
group by 1, 2
order by 1, 2
