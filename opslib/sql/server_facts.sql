-- title: What this server is, and what our role may see and do
-- kind: read
-- returns: version int, version_text text, database text, role text, pid int, server_time time,
--   started_at time, is_replica bool, is_superuser bool, bypasses_rls bool, can_monitor bool,
--   can_read_all bool, can_signal bool, can_use_reserved bool, max_connections int, superuser_reserved
--   int, reserved int, default_read_only bool, autovacuum bool, track_io_timing bool, data_checksums
--   bool, stats_since time, platform text
-- params: nothing
-- needs: nothing
-- cost: one row from memory
-- lock: none
-- since: 14
-- pooler: yes
with roles as (
  select rolname as name, pg_has_role(oid, 'usage') as ours from pg_roles
),
-- Some of these roles exist only in newer versions: bool_or over no row is null.
membership as (
  select coalesce(bool_or(ours) filter (where name = 'pg_monitor'), false) as monitor,
         coalesce(bool_or(ours) filter (where name = 'pg_read_all_data'), false) as read_all,
         coalesce(bool_or(ours) filter (where name = 'pg_signal_backend'), false) as signal,
         coalesce(bool_or(ours) filter (where name = 'pg_use_reserved_connections'), false) as use_reserved,
         bool_or(name = 'supabase_admin') as supabase,
         bool_or(name in ('neon_superuser', 'cloud_admin')) as neon,
         bool_or(name = 'rdsadmin') as rds
  from roles
)
select current_setting('server_version_num')::int / 10000 as version,
       current_setting('server_version') as version_text,
       current_database() as database,
       current_user as role,
       pg_backend_pid() as pid,
       clock_timestamp() as server_time,
       pg_postmaster_start_time() as started_at,
       pg_is_in_recovery() as is_replica,
       me.rolsuper as is_superuser,
       me.rolbypassrls as bypasses_rls,  -- of the login itself: this attribute is not inherited
       membership.monitor as can_monitor,
       membership.read_all as can_read_all,
       membership.signal as can_signal,
       membership.use_reserved as can_use_reserved,
       current_setting('max_connections')::int as max_connections,
       current_setting('superuser_reserved_connections')::int as superuser_reserved,
       coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
       -- What the server gives new sessions, not what we have set for our own.
       (select reset_val from pg_settings where name = 'default_transaction_read_only') = 'on'
         as default_read_only,
       -- Without counters it does not start.
       current_setting('autovacuum') = 'on' and current_setting('track_counts') = 'on' as autovacuum,
       current_setting('track_io_timing') = 'on' as track_io_timing,
       current_setting('data_checksums') = 'on' as data_checksums,
       (select stats_reset from pg_stat_database where datname = current_database()) as stats_since,
       case when membership.supabase then 'supabase'
            when membership.neon then 'neon'
            when membership.rds then 'rds'
            else '' end as platform
from membership, pg_roles me
where me.rolname = current_user
