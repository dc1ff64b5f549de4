-- title: Foreign keys whose columns no index of their table begins with
-- kind: read
-- returns: schema text, table_name text, constraint_name text, columns list, parent text, on_delete text,
--   table_rows int, bytes int, index_name text, name_taken bool, definition text
-- params: nothing
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- Each row that is deleted from the parent, or gets another key, reads the whole table. Of partitions the
-- parent's key is listed once. `definition`: what the server will say of the index that is missing.
with missing as (
  select x.*, n.nspname, c.relname, c.reltuples, c.relpages, c.relkind,
         (select array_agg(a.attname::text order by key.place)
          from unnest(x.conkey) with ordinality as key (number, place)
            join pg_attribute a on a.attrelid = x.conrelid and a.attnum = key.number) as columns
  from pg_constraint x
    join pg_class c on c.oid = x.conrelid
    join pg_namespace n on n.oid = c.relnamespace
  where x.contype = 'f' and x.conparentid = 0
    and not exists (
      select from pg_index i join pg_class k on k.oid = i.indexrelid join pg_am am on am.oid = k.relam
      where i.indrelid = x.conrelid and i.indisvalid and i.indpred is null and am.amname in ('btree', 'hash')
        and (i.indkey::int2[])[0:cardinality(x.conkey) - 1] @> x.conkey)
),
named as (
  select m.*, substr(m.relname || '_' || array_to_string(m.columns, '_'), 1, 55) || '_idx' as index_name,
         (select string_agg(quote_ident(part), ', ' order by place)
          from unnest(m.columns) with ordinality as key (part, place)) as written
  from missing m
)
select nspname as schema,
       relname as table_name,
       conname as constraint_name,
       columns,
       confrelid::regclass::text as parent,
       case confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
         when 'r' then 'restrict' else 'no action' end as on_delete,
       greatest(reltuples, 0)::bigint as table_rows,
       relpages * current_setting('block_size')::bigint as bytes,
       index_name,
       relkind = 'p' or octet_length(index_name) > 63
         or exists (select from pg_class k
                    where k.relnamespace = connamespace and k.relname = named.index_name) as name_taken,
       'CREATE INDEX ' || quote_ident(index_name) || ' ON ' || quote_ident(nspname) || '.'
         || quote_ident(relname) || ' USING btree (' || written || ')' as definition
from named
order by bytes desc, 1, 2, 3
