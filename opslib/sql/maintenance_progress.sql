-- title: Upkeep that is under way now: vacuum, analyze, index builds, rewrites
-- kind: read
-- returns: what text, pid int, relation text, phase text, done_pct float, running seconds,
--   against_wraparound bool
-- params: nothing
-- needs: pg_monitor
-- cost: from memory
-- lock: none
-- since: 14
-- pooler: yes
with going as (
  select 'vacuum' as what, pid, relid, phase,
         100.0 * heap_blks_scanned / nullif(heap_blks_total, 0) as done
  from pg_stat_progress_vacuum where datname = current_database()
  union all
  select 'analyze', pid, relid, phase, 100.0 * sample_blks_scanned / nullif(sample_blks_total, 0)
  from pg_stat_progress_analyze where datname = current_database()
  union all
  select 'index build', pid, relid, phase, 100.0 * blocks_done / nullif(blocks_total, 0)
  from pg_stat_progress_create_index where datname = current_database()
  union all
  select 'rewrite', pid, relid, phase, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
  from pg_stat_progress_cluster where datname = current_database()
)
select g.what, g.pid, g.relid::regclass::text as relation, g.phase, round(g.done, 1) as done_pct,
       clock_timestamp() - a.xact_start as running,
       coalesce(a.query ~ 'to prevent wraparound', false) as against_wraparound
from going g left join pg_stat_activity a using (pid)
order by running desc nulls last, g.pid
