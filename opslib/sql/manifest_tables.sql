-- title: The tables whose rows a backup holds, by schema and name
-- kind: read
-- returns: schema text, name text, columns list, emptied bool
-- params: nothing
-- needs: nothing
-- cost: one catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Partitions are tables of their own; their parent holds no rows. Foreign tables are kept elsewhere.
-- `columns`: of a table that inherits, in an order that a restore keeps; others keep their own, here null.
-- `emptied`: a standby has no rows of an unlogged table, and pg_dump takes none of it there.
select n.nspname as schema, c.relname as name,
       (select array_agg(a.attname::text order by a.attname) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and not c.relispartition
          and exists (select from pg_inherits i where i.inhrelid = c.oid)) as columns,
       c.relpersistence = 'u' and pg_is_in_recovery() as emptied
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't'
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype not in ('n', 'x'))
order by n.nspname, c.relname
