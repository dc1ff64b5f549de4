-- title: Sessions that are not simply idle, the longest transaction first
-- kind: read
-- returns: pid int, application text, role text, client text, database text, state text, in_state
--   seconds, transaction seconds, statement seconds, waits_for text, blocked_by list, query text
-- params: rows int
-- needs: pg_monitor
-- cost: one row a session, from memory; asks the lock table only for sessions that wait for a lock
-- lock: none
-- since: 14
-- pooler: yes
select pid,
       coalesce(nullif(application_name, ''), '(no name)') as application,
       usename as role,
       coalesce(client_addr::text, 'local') as client,
       datname as database,
       state,
       -- An idle session's clock is state_change: query_start is the beginning of its last statement.
       clock_timestamp() - state_change as in_state,
       clock_timestamp() - xact_start as transaction,
       case when state = 'active' then clock_timestamp() - query_start end as statement,
       nullif(concat_ws(': ', wait_event_type, wait_event), '') as waits_for,
       case when wait_event_type = 'Lock' then pg_blocking_pids(pid) else '{}' end as blocked_by,
       left(query, 200) as query
from pg_stat_activity
where pid <> pg_backend_pid()
  and backend_type = 'client backend'
  and state <> 'idle'
order by xact_start nulls last
limit %(rows)s
