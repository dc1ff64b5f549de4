-- title: Dead rows by table, and whether autovacuum is due by its own settings
-- kind: read
-- returns: schema text, table_name text, autovacuum_enabled bool, live_rows int, dead_rows int, dead_pct
--   float, toast_live int, toast_dead int, toast_dead_pct float, vacuum_at int, vacuum_due bool,
--   analyze_due bool, last_vacuum time, last_analyze time
-- params: rows int
-- needs: nothing
-- cost: one row a table, from memory and catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `toast_*`: pieces of values that are stored out of line, of which autovacuum keeps count apart.
-- Temporary tables are left out: neither autovacuum nor anybody else can tend those of another session.
with options as (
  -- A table's own setting goes before the server's.
  select c.oid, c.reltoastrelid as toast, greatest(c.reltuples, 0)::numeric as tuples,
         coalesce(o.enabled, 'true')::boolean as enabled,
         coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold'))::numeric as threshold,
         coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor'))::numeric as scale,
         coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true), '-1')::numeric as most,
         coalesce(o.analyze_threshold, current_setting('autovacuum_analyze_threshold'))::numeric
           as analyze_threshold,
         coalesce(o.analyze_scale, current_setting('autovacuum_analyze_scale_factor'))::numeric
           as analyze_scale
  from pg_class c
    cross join lateral (
      select max(option_value) filter (where option_name = 'autovacuum_enabled') as enabled,
             max(option_value) filter (where option_name = 'autovacuum_vacuum_threshold') as threshold,
             max(option_value) filter (where option_name = 'autovacuum_vacuum_scale_factor') as scale,
             max(option_value) filter (where option_name = 'autovacuum_vacuum_max_threshold') as most,
             max(option_value) filter (where option_name = 'autovacuum_analyze_threshold')
               as analyze_threshold,
             max(option_value) filter (where option_name = 'autovacuum_analyze_scale_factor') as analyze_scale
      from pg_options_to_table(c.reloptions)
    ) o
  where c.relkind in ('r', 'm') and c.relpersistence <> 't'
),
due as (
  select s.*, o.enabled,
         coalesce(pg_stat_get_live_tuples(o.toast), 0) as toast_live,
         coalesce(pg_stat_get_dead_tuples(o.toast), 0) as toast_dead,
         case when o.most >= 0 then least(o.threshold + o.scale * o.tuples, o.most)
              else o.threshold + o.scale * o.tuples end as vacuum_at,
         o.analyze_threshold + o.analyze_scale * o.tuples as analyze_at
  from pg_stat_user_tables s join options o on o.oid = s.relid
)
select schemaname as schema,
       relname as table_name,
       enabled as autovacuum_enabled,
       n_live_tup as live_rows,
       n_dead_tup as dead_rows,
       round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1) as dead_pct,
       toast_live,
       toast_dead,
       round(100.0 * toast_dead / nullif(toast_live + toast_dead, 0), 1) as toast_dead_pct,
       vacuum_at::bigint as vacuum_at,
       n_dead_tup > vacuum_at as vacuum_due,
       n_mod_since_analyze > analyze_at as analyze_due,
       greatest(last_vacuum, last_autovacuum) as last_vacuum,
       greatest(last_analyze, last_autoanalyze) as last_analyze
from due
order by greatest(n_dead_tup, toast_dead) desc, schemaname, relname
limit %(rows)s
