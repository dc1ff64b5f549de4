-- title: Space in tables that a rewrite would give back, estimated from statistics
-- kind: read
-- returns: schema text, table_name text, estimated_rows int, heap_bytes int, bloat_bytes int, bloat_pct
--   float, toast_bytes int, toast_bloat_bytes int, no_statistics bool, hidden bool
-- params: min_bytes int
-- needs: pg_read_all_data and BYPASSRLS; statistics of other tables are hidden, and their rows say so
-- cost: catalog only, one row a column
-- lock: none
-- since: 14
-- pooler: yes
-- Of rows of like width the estimate is right give or take a fifth. Values that are stored out of line are
-- counted as if four pieces filled a page, as of the last vacuum: of shorter ones there is more to give back.
-- One column without statistics is enough for no estimate at all: nobody knows how wide it is.
with held as materialized (
  select relation from pg_locks where relation is not null and mode = 'AccessExclusiveLock'
    and database = (select oid from pg_database where datname = current_database())
),
tables as (
  select c.oid, c.relname, n.nspname, c.reltuples::numeric as tuples, size.pages, size.outside, block_size,
         case when o.reltuples >= 0 then greatest(o.relpages - ceil(o.reltuples / 4), 0) else 0 end::numeric
           as outside_spare,
         coalesce((select option_value from pg_options_to_table(c.reloptions)
                   where option_name = 'fillfactor'), '100')::numeric as fill
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_class o on o.oid = c.reltoastrelid
    cross join (select current_setting('block_size')::numeric) block (block_size)
    -- The catalog says 0 after pg_upgrade, until somebody vacuums or analyzes the table.
    cross join lateral (
      select case when c.reltuples >= 0 or c.oid in (select relation from held) then c.relpages
                  else pg_relation_size(c.oid) / block_size end as pages,
             case when o.oid is null then 0
                  when o.reltuples >= 0 or o.oid in (select relation from held) then o.relpages
                  else pg_relation_size(o.oid) / block_size end as outside
    ) size
  where c.relkind in ('r', 'm')
    and n.nspname not in ('pg_catalog', 'information_schema')
    and not starts_with(n.nspname, 'pg_t')
    and (size.pages + size.outside) * block_size >= %(min_bytes)s
),
columns as (
  -- Short values of any length stand close together, and so is counted what is mostly null.
  -- A virtual column is stored as a null, and has no statistics.
  select t.oid, a.attnum, s.attname is not null or a.attgenerated = 'v' as known,
         s.null_frac > 0 or a.attgenerated = 'v' as has_null,
         ((1 - coalesce(s.null_frac, 0)) * coalesce(s.avg_width, 0))::numeric as width,
         case when (a.attlen < 0 and s.avg_width < 127) or s.null_frac > 0.5 or a.attgenerated = 'v' then 'c'
              else a.attalign end as align
  from tables t
    join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_stats s on s.schemaname = t.nspname and s.tablename = t.relname
                        and s.attname = a.attname and not s.inherited
),
-- A value begins at a multiple of 4 or 8 bytes, as its type asks: what stands before it is padded to that.
runs as (
  select *, count(*) filter (where align in ('i', 'd')) over (partition by oid order by attnum) as four,
         count(*) filter (where align = 'd') over (partition by oid order by attnum) as eight
  from columns
),
fours as (
  select oid, eight, count(*) as columns, count(*) filter (where known) as known,
         bool_or(has_null) as has_null, 4 * ceil(sum(width) / 4) as width
  from runs group by oid, eight, four
),
eights as (
  select oid, sum(columns) as columns, sum(known) as known, bool_or(has_null) as has_null,
         8 * ceil(sum(width) / 8) as width
  from fours group by oid, eight
),
widths as (
  select oid, sum(columns) as columns, sum(known) as known, bool_or(has_null) as has_null,
         sum(width) as width
  from eights group by oid
),
-- A row: 23 bytes of header with a bitmap of nulls, padded to 8 bytes, the values, and a line pointer.
-- No row goes over the end of a page: of wide ones a part of each page stays empty.
needed as (
  select t.*, w.known < w.columns or t.tuples < 0 as no_statistics,
         ceil(t.tuples / greatest(floor(
           (t.block_size - 24) * t.fill / 100
           / (8 * ceil((23 + case when w.has_null then ceil(w.columns / 8.0) else 0 end) / 8) + w.width + 4)
         ), 1)) as needed_pages
  from tables t join widths w using (oid)
)
select nspname as schema,
       relname as table_name,
       case when tuples >= 0 then tuples::bigint end as estimated_rows,
       (pages * block_size)::bigint as heap_bytes,
       (spare * block_size)::bigint as bloat_bytes,
       round(100 * spare / nullif(pages, 0), 1) as bloat_pct,
       (outside * block_size)::bigint as toast_bytes,
       (outside_spare * block_size)::bigint as toast_bloat_bytes,
       no_statistics,
       not has_table_privilege(oid, 'select') or row_security_active(oid) as hidden
from needed
  cross join lateral (select case when not no_statistics then greatest(pages - needed_pages, 0) end) s (spare)
order by bloat_bytes desc nulls last, nspname, relname
