-- title: What others than the owner may do with tables, views and sequences
-- kind: read
-- returns: schema text, relation text, kind text, owner text, grantee text, privileges list, passed_on bool
-- params: skip_schemas list
-- needs: nothing
-- cost: one row a grant, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `passed_on`: the grantee may grant it to others. `select (a b)`: of these columns alone.
select n.nspname::text as schema, c.relname::text as relation,
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
         when 'm' then 'materialized view' when 'S' then 'sequence' else 'foreign table' end as kind,
       pg_get_userbyid(c.relowner)::text as owner,
       coalesce(g.rolname::text, 'PUBLIC') as grantee,
       array_agg(distinct x.privilege order by x.privilege) as privileges,
       bool_or(x.is_grantable) as passed_on
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select grantee, is_grantable, lower(privilege_type) as privilege from aclexplode(c.relacl)
  union all
  select l.grantee, bool_or(l.is_grantable),
         lower(l.privilege_type) || ' (' || string_agg(a.attname, ' ' order by a.attnum) || ')'
  from pg_attribute a cross join lateral aclexplode(a.attacl) l
  where a.attrelid = c.oid and not a.attisdropped
  group by l.grantee, l.privilege_type
) x
left join pg_roles g on g.oid = x.grantee
where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and x.grantee <> c.relowner
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and n.nspname <> all(%(skip_schemas)s::text[])
  and not exists (select from pg_depend e
                  where e.classid = 'pg_class'::regclass and e.objid = c.oid
                    and e.refclassid = 'pg_extension'::regclass and e.deptype = 'e')
group by 1, 2, 3, 4, 5
order by 1, 2, 5
