-- title: Foreign keys, and whether our role sees all rows on both sides
-- kind: read
-- returns: schema text, table_name text, constraint_name text, columns list, parent_schema text, parent
--   text, parent_columns list, rows_estimate int, readable bool, filtered bool,
--   period bool, heirs list, parent_heirs list
-- params: skip_schemas list
-- needs: nothing
-- cost: one row a foreign key, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `filtered`: row security hides rows from our role on one side, so that a look would tell nothing. `period`:
-- since 18 a key may end in a time that one or more rows of the other table must cover. `heirs`: tables
-- that merely inherit, whose rows no foreign key is about.
with recursive heirs as (
  select i.inhparent as root, i.inhrelid as number
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where not c.relispartition
  union
  select h.root, i.inhrelid from heirs h join pg_inherits i on i.inhparent = h.number
)
select n.nspname::text as schema, c.relname::text as table_name, f.conname::text as constraint_name,
       array(select a.attname::text from unnest(f.conkey) with ordinality as k(number, place)
             join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number
             order by k.place) as columns,
       pn.nspname::text as parent_schema, p.relname::text as parent,
       array(select a.attname::text from unnest(f.confkey) with ordinality as k(number, place)
             join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.number
             order by k.place) as parent_columns,
       greatest(c.reltuples, 0)::bigint + greatest(p.reltuples, 0)::bigint as rows_estimate,
       has_schema_privilege(n.oid, 'usage') and has_schema_privilege(pn.oid, 'usage')
         and has_table_privilege(c.oid, 'select') and has_table_privilege(p.oid, 'select') as readable,
       row_security_active(c.oid) or row_security_active(p.oid) as filtered,
       false
         or f.conperiod -- pg>=18
         as period,
       array(select h.number::bigint from heirs h where h.root = c.oid) as heirs,
       array(select h.number::bigint from heirs h where h.root = p.oid) as parent_heirs
from pg_constraint f
join pg_class c on c.oid = f.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class p on p.oid = f.confrelid
join pg_namespace pn on pn.oid = p.relnamespace
where f.contype = 'f' and f.conparentid = 0
  and n.nspname <> all(%(skip_schemas)s::text[])
order by 1, 2, 3
