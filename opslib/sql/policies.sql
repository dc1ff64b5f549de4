-- title: Row security policies, with the conditions that they set
-- kind: read
-- returns: schema text, table_name text, policy text, permissive bool, roles list, command text,
--   using_text text, check_text text, columns list, calls list,
--   rls_enabled bool, seen bool
-- params: skip_schemas list
-- needs: nothing
-- cost: one row a policy, from the catalog
-- lock: access share for a moment, but on no table that somebody has, or wants, for himself alone
-- since: 14
-- pooler: yes
-- Writing a condition out takes a lock; where that would have to wait, `seen` is false. `calls`: functions
-- in its conditions, but for those of PostgreSQL itself. `columns`: those of the table that they name.
with locked as materialized (
  select relation from pg_locks where relation is not null and mode = 'AccessExclusiveLock'
)
select n.nspname::text as schema, c.relname::text as table_name, p.polname::text as policy,
       p.polpermissive as permissive,
       case when p.polroles = '{0}' then '{public}'
         else array(select rolname::text from pg_roles where oid = any(p.polroles) order by 1) end as roles,
       case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
         when 'd' then 'delete' else 'all' end as command,
       case when free.seen then pg_get_expr(p.polqual, p.polrelid) end as using_text,
       case when free.seen then pg_get_expr(p.polwithcheck, p.polrelid) end as check_text,
       array(select a.attname::text from pg_depend d
             join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
             where d.classid = 'pg_policy'::regclass and d.objid = p.oid
               and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid > 0
             order by 1) as columns,
       array(select distinct f.proname::text from pg_depend d join pg_proc f on f.oid = d.refobjid
             where d.classid = 'pg_policy'::regclass and d.objid = p.oid
               and d.refclassid = 'pg_proc'::regclass order by 1) as calls,
       c.relrowsecurity as rls_enabled,
       free.seen
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (select c.oid not in (select relation from locked) as seen) free
where n.nspname <> all(%(skip_schemas)s::text[])
order by 1, 2, 3
