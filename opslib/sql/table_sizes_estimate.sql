-- title: The largest tables, as of their last vacuum or analyze
-- kind: read
-- returns: schema text, table_name text, estimated_rows int, heap_bytes int, index_bytes int, total_bytes
--   int
-- params: rows int
-- needs: nothing
-- cost: catalog only
-- lock: none, so it also answers while tables are locked
-- since: 14
-- pooler: yes
with sizes as (
  select n.nspname as schema,
         c.relname as table_name,
         nullif(c.reltuples, -1)::bigint as estimated_rows,
         (c.relpages::bigint + coalesce(t.relpages, 0)) * block.size as heap_bytes,
         coalesce((select sum(i.relpages) from pg_index x join pg_class i on i.oid = x.indexrelid
                   where x.indrelid = c.oid), 0)::bigint * block.size as index_bytes
  from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_class t on t.oid = c.reltoastrelid
    cross join (select current_setting('block_size')::bigint as size) block
  where c.relkind in ('r', 'm')
    and n.nspname not in ('pg_catalog', 'information_schema')
    and not starts_with(n.nspname, 'pg_t')
)
select schema, table_name, estimated_rows, heap_bytes, index_bytes, heap_bytes + index_bytes as total_bytes
from sizes
order by total_bytes desc, schema, table_name
limit %(rows)s
