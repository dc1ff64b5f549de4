-- title: End one session, if it is still the one that was shown and has done nothing since
-- kind: write
-- returns: pid int, application text, gone bool
-- params: pid int, backend_start time, state text, state_change time, wait_ms int
-- needs: pg_signal_backend
-- cost: one row a session, from memory
-- lock: none
-- since: 14
-- pooler: no
-- It waits until the session is gone. Whatever does not match exactly, or may never be touched, gives
-- no row, and nothing is done.
with chosen as materialized (
  select a.pid, a.application_name
  from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
  where a.pid = %(pid)s
    and a.backend_start = %(backend_start)s::timestamptz
    and a.state = %(state)s
    and a.state_change = %(state_change)s::timestamptz
    and a.pid <> pg_backend_pid()
    and a.backend_type = 'client backend'
    and a.datname = current_database()
    and a.application_name !~* '^opslib'
    and not r.rolsuper
)
select pid, application_name as application, pg_terminate_backend(pid, %(wait_ms)s) as gone
from chosen
