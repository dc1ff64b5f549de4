-- title: Indexes that are not whole: no query reads them, and most of them still cost each write
-- kind: read
-- returns: index_name text, table_name text, is_valid bool, is_ready bool, estimated_bytes int,
--   in_progress bool, leftover text
-- params: nothing
-- needs: pg_monitor
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- One that was cut off but is ready takes each write, and a unique one refuses rows; it may have been whole
-- before somebody began to drop it.
select i.indexrelid::regclass::text as index_name,
       i.indrelid::regclass::text as table_name,
       i.indisvalid as is_valid,
       i.indisready as is_ready,
       c.relpages::bigint * current_setting('block_size')::bigint as estimated_bytes,
       exists (select from pg_stat_progress_create_index p
               where p.index_relid = i.indexrelid or p.relid = i.indrelid) as in_progress,
       case when c.relname ~ '_ccold[0-9]*$' then 'old copy of a rebuilt index'
            when c.relname ~ '_ccnew[0-9]*$' then 'failed copy of a rebuild'
            when i.indisready or not i.indislive then 'build or drop cut off'
            else 'failed build' end as leftover
from pg_index i join pg_class c on c.oid = i.indexrelid
where (not i.indisvalid or not i.indisready)
  and c.relkind = 'i' and c.relpersistence <> 't'
order by 1
