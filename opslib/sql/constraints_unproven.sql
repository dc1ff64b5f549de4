-- title: Constraints that the rows at hand need not keep
-- kind: read
-- returns: schema text, table_name text, constraint_name text, kind text, validated bool, switched_off bool
-- params: skip_schemas list
-- needs: nothing
-- cost: one row a constraint, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Made as NOT VALID, or switched off with its triggers; since 18 also NOT ENFORCED.
select n.nspname::text as schema, c.relname::text as table_name, k.conname::text as constraint_name,
       case k.contype when 'f' then 'foreign key' when 'c' then 'check' when 'n' then 'not null'
         else 'constraint' end as kind,
       k.convalidated as validated,
       off.is_off as switched_off
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select exists (select from pg_trigger t where t.tgconstraint = k.oid and t.tgenabled = 'D')
    or not k.conenforced -- pg>=18
    as is_off
) off
where k.conparentid = 0 and (not k.convalidated or off.is_off)
  and not starts_with(n.nspname, 'pg_') and n.nspname <> all(%(skip_schemas)s::text[])
order by 1, 2, 3
