-- title: Statements that have been running for long
-- kind: read
-- returns: pid int, application text, role text, database text, statement seconds, transaction seconds,
--   waits_for text, xmin_age int, has_written bool, query text
-- params: seconds float
-- needs: pg_monitor
-- cost: one row a session, from memory
-- lock: none
-- since: 14
-- pooler: yes
select pid,
       coalesce(nullif(application_name, ''), '(no name)') as application,
       usename as role,
       datname as database,
       clock_timestamp() - query_start as statement,
       clock_timestamp() - xact_start as transaction,
       nullif(concat_ws(': ', wait_event_type, wait_event), '') as waits_for,
       age(backend_xmin) as xmin_age,
       backend_xid is not null as has_written,
       left(query, 200) as query
from pg_stat_activity
where pid <> pg_backend_pid()
  and backend_type = 'client backend'
  and state = 'active'
  and query_start <= clock_timestamp() - make_interval(secs => %(seconds)s)
order by query_start
