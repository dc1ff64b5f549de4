-- title: Tables with rows in them of which the planner knows nothing
-- kind: read
-- returns: table_name text
-- params: nothing
-- needs: nothing; tables whose statistics our role may not see are left out
-- cost: two catalogs, and the size of each table's file
-- lock: none
-- since: 14
-- pooler: yes
select c.oid::regclass::text as table_name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence <> 't'
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and has_table_privilege(c.oid, 'select') and not row_security_active(c.oid)
  and pg_relation_size(c.oid) > 0
  and not exists (
    select from pg_stats s where s.schemaname = n.nspname and s.tablename = c.relname)
order by n.nspname, c.relname
