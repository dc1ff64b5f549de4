-- title: Connection slots in use, of those that ordinary logins can have
-- kind: read
-- returns: max_connections int, reserved int, usable int, used int, pct_of_usable float, active int, idle
--   int, idle_in_transaction int, waiting_on_lock int, oldest_idle seconds, oldest_transaction seconds,
--   hidden int
-- params: nothing
-- needs: pg_monitor
-- cost: one row a session, from memory
-- lock: none
-- since: 14
-- pooler: yes
with limits as (
  select current_setting('max_connections')::int as max_connections,
         current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true), '0')::int as reserved
),
-- Background processes take no slot. A row that is hidden from our role takes one if it has a database.
-- Its text tells: the kind is missing, too, of a background worker that is just about to end.
sessions as (
  select state, wait_event_type, state_change, xact_start, pid,
         coalesce(query = '<insufficient privilege>', false) as hidden
  from pg_stat_activity
  where backend_type = 'client backend' or (query = '<insufficient privilege>' and datid is not null)
)
select limits.max_connections,
       limits.reserved,
       limits.max_connections - limits.reserved as usable,
       count(pid) as used,
       round(100.0 * count(pid) / nullif(limits.max_connections - limits.reserved, 0), 1) as pct_of_usable,
       count(*) filter (where state = 'active' and pid <> pg_backend_pid()) as active,
       count(*) filter (where state = 'idle') as idle,
       count(*) filter (where starts_with(state, 'idle in transaction')) as idle_in_transaction,
       count(*) filter (where wait_event_type = 'Lock') as waiting_on_lock,
       max(clock_timestamp() - state_change) filter (where state = 'idle') as oldest_idle,
       max(clock_timestamp() - xact_start) filter (where pid <> pg_backend_pid()) as oldest_transaction,
       count(*) filter (where hidden) as hidden
from limits left join sessions on true
group by limits.max_connections, limits.reserved
