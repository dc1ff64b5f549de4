-- title: Share of block reads served from memory, with the volume behind it
-- kind: read
-- returns: of text, hits int, reads int, hit_pct float, since time
-- params: nothing
-- needs: nothing
-- cost: one row a table and index, from memory
-- lock: none
-- since: 14
-- pooler: yes
with volumes as (
  select 'indexes' as of, sum(idx_blks_hit) as hits, sum(idx_blks_read) as reads from pg_statio_user_indexes
  union all
  select 'tables', sum(heap_blks_hit), sum(heap_blks_read) from pg_statio_user_tables
)
select of,
       coalesce(hits, 0)::bigint as hits,
       coalesce(reads, 0)::bigint as reads,
       round(100.0 * hits / nullif(hits + reads, 0), 2) as hit_pct,
       (select stats_reset from pg_stat_database where datname = current_database()) as since
from volumes
order by of
