-- title: The roles without which this database cannot be restored as it is
-- kind: read
-- returns: role text
-- params: nothing
-- needs: nothing
-- cost: a dozen catalogs
-- lock: none
-- since: 14
-- pooler: yes
-- The server itself notes on whom a database depends: owners, those whom rights were granted to, also on a
-- column or on what is the server's own, those whom policies are for. It notes nothing of its first
-- superuser, so owners and rights are looked at as well. Whose an extension's members are does not matter:
-- it is made anew. Roles that every server has are left out.
with thing as (
  select 'pg_namespace'::regclass as catalog, oid as number, nspowner as owner, nspacl as acl
  from pg_namespace where not starts_with(nspname, 'pg_') and nspname <> 'information_schema'
  union all select 'pg_class'::regclass, oid, relowner, relacl from pg_class
  where oid >= 16384 and relpersistence <> 't'
  union all select 'pg_class'::regclass, attrelid, 0, attacl from pg_attribute
  where attacl is not null and not attisdropped
  union all select 'pg_proc'::regclass, oid, proowner, proacl from pg_proc where oid >= 16384
  union all select 'pg_type'::regclass, oid, typowner, typacl from pg_type
  where oid >= 16384 and typtype in ('d', 'e', 'r')
  union all select 'pg_operator'::regclass, oid, oprowner, null from pg_operator where oid >= 16384
  union all select 'pg_collation'::regclass, oid, collowner, null from pg_collation where oid >= 16384
  union all select 'pg_statistic_ext'::regclass, oid, stxowner, null from pg_statistic_ext
  union all select 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, fdwacl from pg_foreign_data_wrapper
  union all select 'pg_foreign_server'::regclass, oid, srvowner, srvacl from pg_foreign_server
  union all select 'pg_largeobject'::regclass, oid, lomowner, lomacl from pg_largeobject_metadata
  union all select 'pg_publication'::regclass, oid, pubowner, null from pg_publication
  union all select 'pg_event_trigger'::regclass, oid, evtowner, null from pg_event_trigger
  union all select 'pg_default_acl'::regclass, oid, defaclrole, defaclacl from pg_default_acl
  union all select 'pg_user_mapping'::regclass, umid, umuser, null from pg_user_mappings
  union all select 'pg_subscription'::regclass, s.oid, subowner, null from pg_subscription s
  join pg_database d on d.oid = s.subdbid and d.datname = current_database()
), own as (
  select * from thing t where not exists (
    select from pg_depend d
    where d.classid = t.catalog and d.objid = t.number and d.deptype = 'e')
), named as (
  select owner as role from own
  union select a.grantee from own, aclexplode(acl) a
  union select unnest(polroles) from pg_policy
  union select d.refobjid from pg_shdepend d
  join pg_database b on b.oid = d.dbid and b.datname = current_database()
  where d.refclassid = 'pg_authid'::regclass and not (d.deptype = 'o' and (
    d.classid = 'pg_extension'::regclass
    or exists (
      select from pg_depend e where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e')
    or exists (
      select from pg_class c where d.classid = 'pg_class'::regclass and c.oid = d.objid
        and c.relpersistence = 't')))
)
select r.rolname as role
from pg_roles r
where r.oid in (select role from named) and not starts_with(r.rolname, 'pg_')
order by r.rolname
