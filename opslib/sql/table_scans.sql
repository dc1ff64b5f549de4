-- title: How often each table was read whole, and how much of it that was
-- kind: read
-- returns: schema text, table_name text, rows_estimate int, bytes int, seq_scans int, rows_per_scan int,
--   index_scans int, led_by list, varchars list, distinct_values json, since time
-- params: nothing
-- needs: pg_monitor
-- cost: one row a table, from the catalog and memory
-- lock: none
-- since: 14
-- pooler: yes
-- `led_by`: columns that a whole, unconditional index begins with. `varchars`: those that a cast to text
-- leaves as they are, so that an index over them serves it, too. `distinct_values`: how many each column has,
-- as the planner knows it, of the columns that our role may read. Bytes as of the last vacuum or analyze.
select s.schemaname::text as schema, s.relname::text as table_name,
       greatest(c.reltuples, s.n_live_tup, 0)::bigint as rows_estimate,
       c.relpages::bigint * current_setting('block_size')::bigint as bytes,
       s.seq_scan as seq_scans, s.seq_tup_read / nullif(s.seq_scan, 0) as rows_per_scan,
       coalesce(s.idx_scan, 0) as index_scans,
       array(select distinct a.attname::text from pg_index i
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
             where i.indrelid = s.relid and i.indisvalid and i.indpred is null order by 1) as led_by,
       array(select a.attname::text from pg_attribute a
             where a.attrelid = s.relid and a.atttypid = 'varchar'::regtype and not a.attisdropped order by 1)
         as varchars,
       (select jsonb_object_agg(p.attname, case when p.n_distinct >= 0 then p.n_distinct
                                           else -p.n_distinct * greatest(c.reltuples, 0) end)
        from pg_stats p
        where p.schemaname = s.schemaname and p.tablename = s.relname and not p.inherited) as distinct_values,
       (select stats_reset from pg_stat_database where datname = current_database()) as since
from pg_stat_user_tables s
join pg_class c on c.oid = s.relid
order by s.seq_tup_read desc
