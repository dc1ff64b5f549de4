-- title: Sessions that could be ended, and why some must be left alone
-- kind: read
-- returns: pid int, backend_start text, application text, role text, client text, state text,
--   state_change text, query_start text, in_state seconds, transaction seconds, statement seconds,
--   waiting seconds, waits_for text, blocked_by list, maintenance bool, queues bool, query text,
--   protected_reason text
-- params: pid int
-- needs: pg_monitor
-- cost: one row a session, from memory; one look at the lock table, and one more for each that waits in it
-- lock: none
-- since: 14
-- pooler: yes
-- Times that identify are text with microseconds: they are signed, and compared exactly when acted on.
-- The parameter pid is 0 for all sessions.
with held as (
  select pid,
         count(*) filter (where granted and locktype = 'advisory') as advisory,
         bool_or(not granted and locktype = 'relation') as queues,
         max(clock_timestamp() - waitstart) filter (where not granted) as waiting
  from pg_locks
  where pid is not null
  group by pid
),
progress as (
  select pid from pg_stat_progress_vacuum
  union select pid from pg_stat_progress_analyze
  union select pid from pg_stat_progress_create_index
  union select pid from pg_stat_progress_cluster
  union select pid from pg_stat_progress_copy
),
-- Supabase and Neon give the attribute also to the customer's own role, which owns the tables; a role
-- that is there for replication alone owns none.
roles as (
  select r.oid, r.rolsuper,
         r.rolreplication
           and r.oid <> (select datdba from pg_database where datname = current_database())
           and not exists (select from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'p'))
           as replicates
  from pg_roles r
),
sessions as (
  select a.pid, a.backend_start, a.backend_type, a.datname, a.application_name, a.usename, a.client_addr,
         a.state, a.state_change, a.query_start, a.xact_start, a.wait_event_type, a.wait_event, a.query,
         r.rolsuper, r.replicates, coalesce(h.advisory, 0) as advisory, h.waiting,
         coalesce(h.queues, false) and p.pid is null as queues,
         -- Remarks before the first word do not hide it.
         a.state = 'active' and (p.pid is not null or coalesce(a.query ~* concat(
           '^(\s|/\*.*?\*/|-{2}[^\n]*\n)*',
           '(vacuum|analyze|reindex|repack|cluster|checkpoint|create|alter|drop|truncate|refresh|copy',
           '|grant|revoke|comment|security|import|reassign)\M'), false)) as maintenance
  from pg_stat_activity a
    left join roles r on r.oid = a.usesysid
    left join held h on h.pid = a.pid
    left join progress p on p.pid = a.pid
  where a.pid <> pg_backend_pid()
    and (a.datid is not null or a.backend_type in ('client backend', 'walsender'))
    and (%(pid)s = 0 or a.pid = %(pid)s)
)
select pid,
       to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as backend_start,
       coalesce(nullif(application_name, ''), '(no name)') as application,
       usename as role,
       coalesce(client_addr::text, 'local') as client,
       state,
       to_char(state_change at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as state_change,
       to_char(query_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as query_start,
       clock_timestamp() - state_change as in_state,
       clock_timestamp() - xact_start as transaction,
       case when state = 'active' then clock_timestamp() - query_start end as statement,
       waiting,
       nullif(concat_ws(': ', wait_event_type, wait_event), '') as waits_for,
       case when wait_event_type = 'Lock' then pg_blocking_pids(pid) else '{}' end as blocked_by,
       coalesce(maintenance, false) as maintenance,
       queues,
       left(query, 200) as query,
       case
         when query = '<insufficient privilege>' then 'what it does is hidden from our role'
         when application_name ~* '^opslib' then 'it is opslib''s own'
         when backend_type is distinct from 'client backend'
           then concat('it is no client but a ', coalesce(backend_type, 'process without a name'))
         when datname is distinct from current_database() then 'it works in another database'
         when coalesce(rolsuper, true) then 'it is a superuser''s'
         when replicates then 'its role is there for replication'
         when usename in (
           'authenticator', 'pgbouncer', 'dashboard_user', 'supabase_admin', 'supabase_auth_admin',
           'supabase_storage_admin', 'supabase_realtime_admin', 'supabase_functions_admin',
           'supabase_replication_admin', 'supabase_read_only_user', 'supabase_etl_admin', 'cloud_admin',
           'rdsadmin', 'azuresu', 'cloudsqladmin') then 'its role belongs to the platform'
         when application_name ~* concat(
           '^(pg_dump|pg_restore|pg_basebackup|pg_receivewal|pg_cron|supavisor|pgbouncer|postgrest|realtime',
           '|compute_activity_monitor|compute_ctl|postgres-exporter|postgres_exporter|sql_exporter',
           '|walproposer|patroni)') then 'its application keeps the database or the platform going'
         when maintenance and not queues then 'maintenance or DDL is running in it'
         when advisory > 0 then 'it holds an advisory lock: a migration, or who was elected leader'
         when state is null or state = 'disabled' then 'what it does is not tracked'
       end as protected_reason
from sessions
order by clock_timestamp() - state_change desc nulls last, pid
