-- title: Functions that run with their owner's rights, and which roles of the web API may call them
-- kind: read
-- returns: schema text, function text, owner text, owner_bypasses bool, fixed_path bool, judges bool,
--   callers list
-- params: roles list, skip_schemas list
-- needs: nothing
-- cost: one row a function, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Without a search path of its own such a function can be made to use the caller's objects. `owner_bypasses`:
-- row security doesn't hold for its owner, at least on tables of his own. `judges`: a policy asks it.
with roles as (
  select oid, rolname::text as name from pg_roles where rolname = any(%(roles)s::text[])
)
select n.nspname::text as schema, p.oid::regprocedure::text as function, o.rolname::text as owner,
       o.rolsuper or o.rolbypassrls
         or exists (select from pg_class c
                    where c.relrowsecurity and not c.relforcerowsecurity
                      and pg_has_role(o.oid, c.relowner, 'usage')) as owner_bypasses,
       exists (select from unnest(p.proconfig) setting
               where starts_with(setting, 'search_path=')) as fixed_path,
       exists (select from pg_depend d
               where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
                 and d.refobjid = p.oid) as judges,
       array(select r.name from roles r
             where has_schema_privilege(r.oid, n.oid, 'usage')
               and has_function_privilege(r.oid, p.oid, 'execute') order by 1) as callers
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_roles o on o.oid = p.proowner
where p.prosecdef
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and n.nspname <> all(%(skip_schemas)s::text[])
  and not exists (select from pg_depend e
                  where e.classid = 'pg_proc'::regclass and e.objid = p.oid
                    and e.refclassid = 'pg_extension'::regclass)
order by 1, 2
