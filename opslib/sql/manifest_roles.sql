-- title: The roles without which this database cannot be restored as it is
-- kind: read
-- returns: role text
-- params: nothing
-- needs: nothing
-- cost: several catalogs
-- lock: none
-- since: 14
-- pooler: yes
-- Owners, those whom rights were granted to, and those whom policies are for; not the ones that every
-- server has.
with own as (
  select oid, nspowner, nspacl from pg_namespace
  where not starts_with(nspname, 'pg_') and nspname <> 'information_schema'
), named as (
  select nspowner as role from own
  union select a.grantee from own, aclexplode(nspacl) a
  union select c.relowner from pg_class c where c.relnamespace in (select oid from own)
  union select a.grantee from pg_class c, aclexplode(c.relacl) a where c.relnamespace in (select oid from own)
  union select p.proowner from pg_proc p where p.pronamespace in (select oid from own)
  union select a.grantee from pg_proc p, aclexplode(p.proacl) a where p.pronamespace in (select oid from own)
  union select a.grantee from pg_default_acl d, aclexplode(d.defaclacl) a
  union select d.defaclrole from pg_default_acl d
  union select unnest(polroles) from pg_policy
)
select r.rolname as role
from pg_roles r
where r.oid in (select role from named) and not starts_with(r.rolname, 'pg_')
order by r.rolname
