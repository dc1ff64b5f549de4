-- title: Who holds the connection slots: application, role, client and database
-- kind: read
-- returns: application text, role text, client text, database text, total int, active int, idle int,
--   idle_in_transaction int, never_used int, oldest_session time, longest_idle seconds
-- params: nothing
-- needs: pg_monitor
-- cost: one row a session, from memory
-- lock: none
-- since: 14
-- pooler: yes
select coalesce(nullif(application_name, ''), '(no name)') as application,
       usename as role,
       coalesce(client_addr::text, 'local') as client,
       datname as database,
       count(*) as total,
       count(*) filter (where state = 'active') as active,
       count(*) filter (where state = 'idle') as idle,
       count(*) filter (where starts_with(state, 'idle in transaction')) as idle_in_transaction,
       count(*) filter (where state = 'idle' and query = '') as never_used,
       min(backend_start) as oldest_session,
       max(clock_timestamp() - state_change) filter (where state = 'idle') as longest_idle
from pg_stat_activity
where pid <> pg_backend_pid()
  and (backend_type = 'client backend' or (query = '<insufficient privilege>' and datid is not null))
group by 1, 2, 3, 4
order by total desc, 1, 2, 3, 4
