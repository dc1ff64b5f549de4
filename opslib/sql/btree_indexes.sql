-- title: B-tree indexes that are whole, the smallest first
-- kind: read
-- returns: schema text, index_name text, table_name text, number int, bytes int
-- params: skip_schemas list
-- needs: nothing
-- cost: one row an index, from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `number` is the index's oid; bytes as of the last vacuum or analyze.
select n.nspname::text as schema, c.relname::text as index_name, t.relname::text as table_name,
       c.oid::bigint as number,
       c.relpages::bigint * current_setting('block_size')::bigint as bytes
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_class t on t.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_am m on m.oid = c.relam
where m.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p' and i.indisvalid and i.indisready
  and not starts_with(n.nspname, 'pg_') and n.nspname <> all(%(skip_schemas)s::text[])
order by bytes, 1, 2
