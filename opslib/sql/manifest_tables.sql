-- title: The tables whose rows a backup holds, by schema and name
-- kind: read
-- returns: schema text, name text, emptied bool
-- params: nothing
-- needs: nothing
-- cost: one catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Partitions are tables of their own; their parent holds no rows. Foreign tables are kept elsewhere.
-- `emptied`: a standby has no rows of an unlogged table, and pg_dump takes none of it there.
select n.nspname as schema, c.relname as name, c.relpersistence = 'u' and pg_is_in_recovery() as emptied
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't'
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype not in ('n', 'x'))
order by n.nspname, c.relname
