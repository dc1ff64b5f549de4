-- title: Constraints that the rows at hand need not keep
-- kind: read
-- returns: schema text, table_name text, constraint_name text, kind text, validated bool, switched_off bool
-- params: skip_schemas list
-- needs: nothing
-- cost: one row a constraint, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Made as NOT VALID, or switched off with its triggers; since 18 also NOT ENFORCED. What is switched off on
-- one partition alone is named there.
with named as (
  select k.oid, k.conparentid, n.nspname, c.relname, k.conname, k.contype, k.convalidated,
         exists (select from pg_trigger t where t.tgconstraint = k.oid and t.tgenabled = 'D')
           or not k.conenforced -- pg>=18
           as is_off
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_namespace n on n.oid = c.relnamespace
)
select k.nspname::text as schema, k.relname::text as table_name, k.conname::text as constraint_name,
       case k.contype when 'f' then 'foreign key' when 'c' then 'check' when 'n' then 'not null'
         else 'constraint' end as kind,
       k.convalidated as validated,
       k.is_off as switched_off
from named k
left join named p on p.oid = k.conparentid
where (k.conparentid = 0 and not k.convalidated or k.is_off and not coalesce(p.is_off, false))
  and not starts_with(k.nspname, 'pg_') and k.nspname <> all(%(skip_schemas)s::text[])
order by 1, 2, 3
