-- title: How often each table was read whole, and how much of it that was
-- kind: read
-- returns: schema text, table_name text, rows_estimate int, bytes int, seq_scans int, rows_per_scan int,
--   index_scans int, led_by list, hashed list, partial json, varchars list, distinct_values json, since time
-- params: nothing
-- needs: pg_monitor
-- cost: one row a table, from the catalog and memory
-- lock: none
-- since: 14
-- pooler: yes
-- `led_by`: columns by which a whole b-tree is sorted; `hashed`: those that an index finds by equality alone.
-- `partial`: of each index over a part of the rows the columns that say which part: plans without values
-- cannot use it, and those with values may. `varchars`: columns that a cast to text leaves as they are, so
-- that an index over them serves it, too. `distinct_values`: how many each column has, as the planner knows
-- it, of the columns that our role may read. Bytes as of the last vacuum or analyze, if any.
select s.schemaname::text as schema, s.relname::text as table_name,
       greatest(c.reltuples, s.n_live_tup, 0)::bigint as rows_estimate,
       case when c.reltuples >= 0 or exists (
              select from pg_locks l where l.relation = s.relid and l.mode = 'AccessExclusiveLock'
              and l.database = (select oid from pg_database where datname = current_database()))
            then c.relpages * current_setting('block_size')::bigint else pg_relation_size(c.oid) end as bytes,
       s.seq_scan as seq_scans, s.seq_tup_read / nullif(s.seq_scan, 0) as rows_per_scan,
       coalesce(s.idx_scan, 0) as index_scans,
       array(select distinct a.attname::text from pg_index i
             join pg_class k on k.oid = i.indexrelid join pg_am m on m.oid = k.relam
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
             where i.indrelid = s.relid and i.indisvalid and i.indpred is null and m.amname = 'btree'
               and i.indcollation[0] in (0, a.attcollation) order by 1) as led_by,
       array(select distinct a.attname::text from pg_index i
             join pg_class k on k.oid = i.indexrelid join pg_am m on m.oid = k.relam
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
             where i.indrelid = s.relid and i.indisvalid and i.indpred is null and m.amname = 'hash'
               and i.indcollation[0] in (0, a.attcollation) order by 1) as hashed,
       (select jsonb_object_agg(k.relname, (
          select jsonb_agg(distinct a.attname)
          from regexp_matches(i.indpred::text, ':varattno (\d+)', 'g') as part (number)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = part.number[1]::int))
        from pg_index i join pg_class k on k.oid = i.indexrelid
        where i.indrelid = s.relid and i.indisvalid and i.indpred is not null) as partial,
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
