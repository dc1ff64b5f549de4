-- title: Where the statistics of statements are kept, if they are
-- kind: read
-- returns: schema text, version text, available bool, loaded bool, track text, io_timing bool,
--   log_min_duration_ms int
-- params: nothing
-- needs: nothing
-- cost: two small catalogs
-- lock: none
-- since: 14
-- pooler: yes
-- Supabase has it in `extensions`, others in `public`. Loaded but not made, and made but not loaded, are
-- different faults.
select found.schema, found.version,
       exists (select from pg_available_extensions where name = 'pg_stat_statements') as available,
       current_setting('pg_stat_statements.max', true) is not null as loaded,
       current_setting('pg_stat_statements.track', true) as track,
       current_setting('track_io_timing') = 'on' as io_timing,
       (select setting::int from pg_settings where name = 'log_min_duration_statement') as log_min_duration_ms
from (select) one
left join lateral (
  select n.nspname::text as schema, e.extversion as version
  from pg_extension e join pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'pg_stat_statements'
) found on true
