-- title: Tables and views, what guards their rows, and which roles of the web API reach them
-- kind: read
-- returns: schema text, relation text, kind text, owner text, rls_enabled bool, policies int, invoker
--   bool, readers list, column_readers list, writers list, guarded list,
--   pages int
-- params: roles list, skip_schemas list
-- needs: nothing
-- cost: one row a table and view, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `guarded`: tables with row security that a view reads, through other views too. `invoker`: the view
-- reads with the rights of who asks, so that their policies hold (since 15). `column_readers`: those of the
-- readers who may read some columns alone.
with recursive roles as (
  select oid, rolname::text as name from pg_roles where rolname = any(%(roles)s::text[])
),
direct as (
  select distinct r.ev_class as view, d.refobjid as relation
  from pg_rewrite r
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
),
reads as (
  select view, relation from direct
  union
  select reads.view, direct.relation from reads join direct on direct.view = reads.relation
)
select n.nspname::text as schema, c.relname::text as relation,
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
         when 'm' then 'materialized view' else 'foreign table' end as kind,
       pg_get_userbyid(c.relowner)::text as owner,
       c.relrowsecurity as rls_enabled,
       (select count(*) from pg_policy p where p.polrelid = c.oid) as policies,
       coalesce((select bool_or(o.option_value in ('true', 'on', 'yes', '1'))
                 from pg_options_to_table(c.reloptions) o
                 where o.option_name = 'security_invoker'), false) as invoker,
       array(select r.name from roles r
             where has_schema_privilege(r.oid, n.oid, 'usage')
               and has_any_column_privilege(r.oid, c.oid, 'select') order by 1) as readers,
       array(select r.name from roles r
             where has_schema_privilege(r.oid, n.oid, 'usage')
               and has_any_column_privilege(r.oid, c.oid, 'select')
               and not has_table_privilege(r.oid, c.oid, 'select') order by 1) as column_readers,
       array(select r.name from roles r
             where has_schema_privilege(r.oid, n.oid, 'usage')
               and (has_any_column_privilege(r.oid, c.oid, 'insert, update')
                    or has_table_privilege(r.oid, c.oid, 'delete')) order by 1) as writers,
       array(select g.oid::regclass::text from reads join pg_class g on g.oid = reads.relation
             where reads.view = c.oid and g.relrowsecurity order by 1) as guarded,
       c.relpages as pages
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and n.nspname <> all(%(skip_schemas)s::text[])
  and not exists (select from pg_depend e
                  where e.classid = 'pg_class'::regclass and e.objid = c.oid
                    and e.refclassid = 'pg_extension'::regclass and e.deptype = 'e')
order by 1, 2
