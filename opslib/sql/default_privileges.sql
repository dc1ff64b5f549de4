-- title: What the next object will be open to
-- kind: read
-- returns: made_by text, schema text, kind text, grantee text, privileges list
-- params: nothing
-- needs: nothing
-- cost: one small catalog
-- lock: none
-- since: 14
-- pooler: yes
select pg_get_userbyid(d.defaclrole)::text as made_by, coalesce(n.nspname::text, '(every schema)') as schema,
       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
         when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end as kind,
       coalesce(g.rolname::text, 'PUBLIC') as grantee,
       array_agg(distinct lower(x.privilege_type) order by lower(x.privilege_type)) as privileges
from pg_default_acl d
left join pg_namespace n on n.oid = d.defaclnamespace
cross join lateral aclexplode(d.defaclacl) x
left join pg_roles g on g.oid = x.grantee
where x.grantee <> d.defaclrole
group by 1, 2, 3, 4
order by 1, 2, 3, 4
