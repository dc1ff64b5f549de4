-- title: Cancel one statement, if it is still the one that was shown
-- kind: write
-- returns: pid int, application text, signalled bool
-- params: pid int, backend_start time, state_change time, query_start time
-- needs: pg_signal_backend
-- cost: one row a session, from memory
-- lock: none
-- since: 14
-- pooler: no
-- Only an active session heeds it. Whatever does not match exactly, or may never be touched, gives no
-- row, and nothing is done.
with chosen as materialized (
  select a.pid, a.application_name
  from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
  where a.pid = %(pid)s
    and a.backend_start = %(backend_start)s::timestamptz
    and a.state = 'active'
    and a.state_change = %(state_change)s::timestamptz
    and a.query_start = %(query_start)s::timestamptz
    and a.pid <> pg_backend_pid()
    and a.backend_type = 'client backend'
    and a.datname = current_database()
    and a.application_name !~* '^opslib'
    and not r.rolsuper
)
select pid, application_name as application, pg_cancel_backend(pid) as signalled
from chosen
