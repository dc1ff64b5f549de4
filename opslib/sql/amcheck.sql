-- title: Whether indexes can be checked here: the extension amcheck, and our right to call it
-- kind: read
-- returns: available bool, schema text, allowed bool
-- params: nothing
-- needs: nothing
-- cost: three small catalogs
-- lock: none
-- since: 14
-- pooler: yes
select exists (select from pg_available_extensions where name = 'amcheck') as available,
       found.nspname::text as schema,
       coalesce(found.allowed, false) as allowed
from (select) one
left join lateral (
  select n.nspname,
         has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute') as allowed
  from pg_extension e
  join pg_namespace n on n.oid = e.extnamespace
  join pg_proc p on p.pronamespace = n.oid and p.proname = 'bt_index_check' and p.pronargs = 1
  where e.extname = 'amcheck'
) found on true
