-- title: Whose each thing is, who may do what with it, and what is remarked on it
-- kind: read
-- returns: kind text, name text, detail text
-- params: nothing
-- needs: nothing
-- cost: two dozen catalogs, up to a second for thousands of objects
-- lock: none
-- since: 14
-- pooler: yes
-- Rights that were never given or taken away are written out, as a restore may leave them either way. The
-- first superuser, whose the schema public is on older servers, has another name elsewhere. Settings of the
-- database are by name only: their values may be secret. No dump holds a remark on what a partition got from
-- its parent. Nor does one hold rights on the database, but people must know them.
with thing as (
  select 'pg_namespace'::regclass as catalog, oid as number, nspowner as owner, nspacl as acl, 'n' as sort
  from pg_namespace where not starts_with(nspname, 'pg_') and nspname <> 'information_schema'
  union all
  select 'pg_class'::regclass, oid, relowner, relacl, case relkind when 'S' then 's' else 'r' end
  from pg_class where oid >= 16384 and relkind in ('r', 'p', 'v', 'm', 'f', 'S') and relpersistence <> 't'
  union all select 'pg_proc'::regclass, oid, proowner, proacl, 'f' from pg_proc where oid >= 16384
  union all
  select 'pg_type'::regclass, oid, typowner, typacl, 'T' from pg_type t
  where oid >= 16384 and (typtype in ('d', 'e', 'r') or exists (
    select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
  union all select 'pg_language'::regclass, oid, lanowner, lanacl, 'l' from pg_language where oid >= 16384
  union all
  select 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, fdwacl, 'F' from pg_foreign_data_wrapper
  union all select 'pg_foreign_server'::regclass, oid, srvowner, srvacl, 'S' from pg_foreign_server
  union all select 'pg_statistic_ext'::regclass, oid, stxowner, null, null from pg_statistic_ext
  union all select 'pg_operator'::regclass, oid, oprowner, null, null from pg_operator where oid >= 16384
  union all select 'pg_collation'::regclass, oid, collowner, null, null from pg_collation where oid >= 16384
  union all select 'pg_publication'::regclass, oid, pubowner, null, null from pg_publication
  union all select 'pg_event_trigger'::regclass, oid, evtowner, null, null from pg_event_trigger
), own as (
  select t.catalog, t.number, 0 as part, t.owner, coalesce(t.acl, acldefault(t.sort::"char", t.owner)) as acl
  from thing t
  where not exists (
    select from pg_depend d where d.classid = t.catalog and d.objid = t.number and d.deptype = 'e')
  union all
  select 'pg_class'::regclass, a.attrelid, a.attnum, null, a.attacl from pg_attribute a
  where a.attacl is not null and a.attrelid >= 16384 and not a.attisdropped
), given as (
  select catalog, number, part, owner, grantee, a.privilege_type
         || case when a.is_grantable and a.grantee <> coalesce(owner, 0) then '*' else '' end as privilege
  from own, aclexplode(acl) a
), rights as (
  select catalog, number, part,
         concat(case grantee when owner then '(owner)' when 0 then 'public' else pg_get_userbyid(grantee) end,
           ': ', string_agg(distinct privilege, ' ' order by privilege)) as said
  from given group by catalog, number, part, owner, grantee
)
select 'rights' as kind, i.type || ' ' || i.identity as name,
       concat_ws('; ',
         case when o.owner = 10 and i.identity = 'public' then 'owner: the first superuser' else -- pg<15
         'owner: ' || pg_get_userbyid(o.owner)
         end -- pg<15
         ,
         (select string_agg(r.said, '; ' order by r.said) from rights r
          where r.catalog = o.catalog and r.number = o.number and r.part = o.part)) as detail
from own o, pg_identify_object(o.catalog, o.number, o.part) i
where i.identity is not null and coalesce(i.schema, '') !~ '^pg_'
union all
select 'default rights', concat_ws(' ', pg_get_userbyid(d.defaclrole), n.nspname, d.defaclobjtype),
       (select string_agg(concat_ws(' ',
          case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end, a.privilege_type,
          case when a.is_grantable then '*' end), '; '
          order by a.grantee = 0, pg_get_userbyid(a.grantee), a.privilege_type)
        from aclexplode(d.defaclacl) a)
from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
where not exists (
  select from pg_depend e
  where e.classid = 'pg_default_acl'::regclass and e.objid = d.oid and e.deptype = 'e')
union all
select 'comment', i.type || ' ' || i.identity, md5(d.description)
from pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
where (d.objoid >= 16384 or d.classoid = 'pg_largeobject'::regclass) and i.identity is not null
  and coalesce(i.schema, '') !~ '^pg_' and d.classoid <> 'pg_extension'::regclass and not exists (
  select from pg_depend e where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')
  and not exists (
    select from pg_trigger t
    where d.classoid = 'pg_trigger'::regclass and t.oid = d.objoid and t.tgparentid <> 0)
  and not exists (
    select from pg_constraint o where d.classoid = 'pg_constraint'::regclass and o.oid = d.objoid
      and o.conrelid <> 0 and not (o.conislocal and o.conparentid = 0)
      and o.contype <> all ('{p,u,x}')) -- these have an index of their own, and are dumped with it
union all
select 'setting', concat_ws(' ', split_part(c, '=', 1), 'of ' || r.rolname), ''
from pg_db_role_setting s
join pg_database b on b.oid = s.setdatabase and b.datname = current_database()
cross join unnest(s.setconfig) c
left join pg_roles r on r.oid = s.setrole
union all
select 'database', 'rights of ' || case g.role when 0 then 'public' else pg_get_userbyid(g.role)::text end,
       coalesce((
         select string_agg(distinct a.privilege_type || case when a.is_grantable then '*' else '' end, ' ')
         from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a where a.grantee = g.role), 'none')
from pg_database d,
     lateral (select 0::oid as role union select a.grantee from aclexplode(d.datacl) a) g
where d.datname = current_database() and g.role <> d.datdba
order by 1, 2
