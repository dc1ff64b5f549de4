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
-- that the table stores out of line stand in the index whole: what it stores there is then allowed for, in
-- each index over a column that may hold them. Both make the estimate too low rather than too high; it is one
-- from a sample all the same.
with held as materialized (
  select relation from pg_locks where relation is not null and mode = 'AccessExclusiveLock'
    and database = (select oid from pg_database where datname = current_database())
),
trees as (
  select i.indexrelid, i.indrelid, i.indkey, n.nspname, t.relname as table_name, c.relname as index_name,
         size.pages, c.reltuples::numeric as entries, c.relpages > 0 as counted, block_size,
         -- A sample tells nothing of values longer than 1 kB, and the catalog not that they are there.
         case when t.reltoastrelid = 0 then 0
              when t.reltoastrelid not in (select relation from held)
              then pg_relation_size(t.reltoastrelid) / block_size end as outside,
         coalesce((select option_value from pg_options_to_table(c.reloptions)
                   where option_name = 'fillfactor'), '90')::numeric as fill
  from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_am am on am.oid = c.relam
    join pg_namespace n on n.oid = c.relnamespace
    cross join (select current_setting('block_size')::numeric) block (block_size)
    -- The catalog says 0 after pg_upgrade, until somebody analyzes the table.
    cross join lateral (
      select case when c.relpages > 0 or c.oid in (select relation from held) then c.relpages
                  else pg_relation_size(c.oid) / block_size end
    ) size (pages)
  where am.amname = 'btree' and i.indisvalid and i.indexprs is null and i.indpred is null and c.relkind = 'i'
    and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
    and size.pages * block_size >= %(min_bytes)s
),
widths as (
  select t.indexrelid, count(s.attname) = count(*) as known,
         sum((1 - coalesce(s.null_frac, 0)) * coalesce(s.avg_width, 0))::numeric as width,
         bool_or(may.be_long and not coalesce(seen.all_short, false)) as long
  from trees t
    cross join lateral unnest(t.indkey::int2[]) as key (number)
    left join pg_attribute a on a.attrelid = t.indrelid and a.attnum = key.number
    left join pg_type y on y.oid = a.atttypid
    left join pg_stats s on s.schemaname = t.nspname and s.tablename = t.table_name
                        and s.attname = a.attname and not s.inherited
    cross join lateral (
      select a.attlen < 0 and a.attstorage <> 'p' and y.typcategory not in ('N', 'I')
             and not (a.atttypid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod between 5 and 204)
    ) may (be_long)
    -- Where the values that are most common are all that there are, none of them is a long one.
    left join lateral (
      select max(octet_length(value)) <= 200
             and (select sum(share) from unnest(s.most_common_freqs) share) + s.null_frac > 0.999
      from unnest(s.most_common_vals::text::text[]) as kept (value)
      where may.be_long
    ) seen (all_short) on true
  group by t.indexrelid
),
needed as (
  -- An entry: 8 bytes of header, the values padded to 8 bytes, and a line pointer; one page for the root.
  -- Of long values few fit into a page, and most of them bound one, too, and again one of those above.
  select t.*, not (w.known and t.counted and t.entries >= 0 and (t.outside is not null or not w.long))
           as no_statistics,
         1 + ceil(t.entries / greatest(floor((t.block_size - 40) * t.fill / 100
                                             / (8 + 8 * ceil(w.width / 8) + 4)), 1))
           + case when w.long then 3 * ceil(t.outside) else 0 end as needed_pages
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
