-- title: The index over one column of a table that a statement asks for, as it would be
-- kind: read
-- returns: schema text, table_name text, index_name text, columns list, definition text, for_migration text,
--   bytes int, in_progress bool, stands text
-- params: schema text, table text, column text
-- needs: pg_monitor
-- cost: catalog only
-- lock: access share on what the table stores out of line, for a moment
-- since: 14
-- pooler: yes
-- No row where there is no such column. `definition`: what the server will say of it. `stands`: what bears
-- its name already: leftover (a build of this very index that failed), other, partitions (the table has
-- some or is one, and is built otherwise), wide (a value may not fit into an index, as one of 2.7 kB does
-- not: a sample keeps only short ones, so that nothing may be stored out of line either), or nothing.
-- `for_migration` does nothing where the index is there; of a partition it names the whole table.
with wanted as (
  select c.oid, c.relnamespace, c.relkind, c.relispartition, c.relpages, n.nspname, c.relname, a.attname,
         a.attnum, substr(c.relname || '_' || a.attname, 1, 55) || '_idx' as index_name,
         a.attlen < 0 and y.typcategory not in ('N', 'I')
           and not (a.atttypid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod between 5 and 604)
           and not (coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) = 0 and exists (
             select from pg_stats s
             where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
               and s.avg_width <= 300
               and 300 >= (select max(octet_length(value))
                           from unnest(coalesce(s.most_common_vals::text::text[], '{}')
                                       || coalesce(s.histogram_bounds::text::text[], '{}')) as kept (value))
           )) as wide,
         (select substr(w.relname || '_' || a.attname, 1, 55) || '_idx' from pg_class w
          where w.oid = pg_partition_root(c.oid)) as whole_index,
         pg_partition_root(c.oid)::text as whole
  from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type y on y.oid = a.atttypid
  where n.nspname = %(schema)s and c.relname = %(table)s and a.attname = %(column)s
    and c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped
),
named as (
  select w.*, quote_ident(w.index_name) as index_quoted, quote_ident(w.attname) as column_quoted,
         quote_ident(w.nspname) || '.' || quote_ident(w.relname) as table_quoted,
         quote_ident(coalesce(w.whole_index, w.index_name)) as whole_index_quoted,
         (select k.oid from pg_class k
          where k.relnamespace = w.relnamespace and k.relname = w.index_name) as there
  from wanted w
)
select n.nspname as schema,
       n.relname as table_name,
       n.index_name,
       array[n.attname::text] as columns,
       'CREATE INDEX ' || n.index_quoted || ' ON ' || n.table_quoted || ' USING btree (' || n.column_quoted
         || ')' as definition,
       'create index if not exists ' || n.whole_index_quoted || ' on '
         || coalesce(n.whole, n.table_quoted) || ' (' || n.column_quoted || ');' as for_migration,
       n.relpages * current_setting('block_size')::bigint as bytes,
       exists (select from pg_stat_progress_create_index p where p.relid = n.oid) as in_progress,
       case when n.relkind = 'p' or n.relispartition then 'partitions'
            when n.wide then 'wide'
            when octet_length(n.index_name) > 63 then 'other'
            when n.there is null then ''
            when exists (select from pg_index i join pg_class k on k.oid = i.indexrelid
                           join pg_am am on am.oid = k.relam
                         where i.indexrelid = n.there and i.indrelid = n.oid and not i.indisvalid
                           and not i.indisunique and i.indpred is null and am.amname = 'btree'
                           and i.indkey::text = n.attnum::text)
            then 'leftover'
            else 'other' end as stands
from named n
