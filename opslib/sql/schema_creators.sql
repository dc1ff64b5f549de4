-- title: Who may make objects in which schema
-- kind: read
-- returns: schema text, owner text, grantee text
-- params: skip_schemas list
-- needs: nothing
-- cost: one small catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Before 15, and in databases upgraded from there, everybody could in `public`.
select n.nspname::text as schema, pg_get_userbyid(n.nspowner)::text as owner,
       coalesce(g.rolname::text, 'PUBLIC') as grantee
from pg_namespace n
cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
left join pg_roles g on g.oid = x.grantee
where x.privilege_type = 'CREATE' and x.grantee <> n.nspowner
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and n.nspname <> all(%(skip_schemas)s::text[])
order by 1, 3
