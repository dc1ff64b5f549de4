-- title: Space in b-trees that a rebuild would give back, estimated from statistics
-- kind: read
-- returns: schema text, table_name text, index_name text, bytes int, bloat_bytes int, bloat_pct float,
--   no_statistics bool, hidden bool
-- params: min_bytes int
-- needs: pg_read_all_data and BYPASSRLS; statistics of other tables are hidden, and their rows say so
-- cost: catalog only, one row a column
-- lock: none
-- since: 14
-- pooler: yes
-- Only whole indexes over plain columns. Equal keys are stored once, which is not counted, and long values
-- that the table stores out of line stand in the index whole: what it stores there is then allowed for.
-- Both make the estimate too low rather than too high; it is one from a sample all the same.
with trees as (
  select i.indexrelid, i.indrelid, i.indkey, n.nspname, t.relname as table_name, c.relname as index_name,
         c.relpages::numeric as pages, c.reltuples::numeric as entries,
         greatest(o.relpages, 0)::numeric as outside, current_setting('block_size')::numeric as block_size,
         coalesce((select option_value from pg_options_to_table(c.reloptions)
                   where option_name = 'fillfactor'), '90')::numeric as fill
  from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_am am on am.oid = c.relam
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_class o on o.oid = t.reltoastrelid
  where am.amname = 'btree' and i.indisvalid and i.indexprs is null and i.indpred is null and c.relkind = 'i'
    and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
    and c.relpages * current_setting('block_size')::bigint >= %(min_bytes)s
),
widths as (
  select t.indexrelid, count(s.attname) = count(*) as known,
         sum((1 - coalesce(s.null_frac, 0)) * coalesce(s.avg_width, 0))::numeric as width,
         bool_or(a.attlen < 0 and a.attstorage <> 'p' and coalesce(seen.longest, 1000) > 200) as long
  from trees t
    cross join lateral unnest(t.indkey::int2[]) as key (number)
    left join pg_attribute a on a.attrelid = t.indrelid and a.attnum = key.number
    left join pg_stats s on s.schemaname = t.nspname and s.tablename = t.table_name
                        and s.attname = a.attname and not s.inherited
    -- Of values longer than 1 kB a sample keeps none; where all that it keeps are short, none is long.
    left join lateral (
      select max(octet_length(value)) as longest
      from unnest(coalesce(s.histogram_bounds, s.most_common_vals)::text::text[]) as kept (value)
      where a.attlen < 0
    ) seen on true
  group by t.indexrelid
),
needed as (
  -- An entry: 8 bytes of header, the values padded to 8 bytes, and a line pointer; one page for the root.
  -- Of long values few fit into a page, and most of them bound one, too, and again one of those above.
  select t.*, not w.known or t.entries < 0 as no_statistics,
         1 + ceil(t.entries * (8 + 8 * ceil(w.width / 8) + 4)
                  / ((t.block_size - 40) * t.fill / 100))
           + case when w.long then 3 * t.outside else 0 end as needed_pages
  from trees t join widths w using (indexrelid)
)
select nspname as schema, table_name, index_name,
       (pages * block_size)::bigint as bytes,
       (spare * block_size)::bigint as bloat_bytes,
       round(100 * spare / nullif(pages, 0), 1) as bloat_pct,
       no_statistics,
       not has_table_privilege(indrelid, 'select') or row_security_active(indrelid) as hidden
from needed
  cross join lateral (select case when not no_statistics then greatest(pages - needed_pages, 0) end) s (spare)
order by bloat_bytes desc nulls last, nspname, index_name
