-- title: Takes an advisory lock for this session, if nobody has it
-- kind: lock
-- returns: taken bool, backend int
-- params: key int
-- needs: nothing
-- cost: one entry in the lock table, until the session ends
-- lock: none
-- since: 14
-- pooler: no
select pg_try_advisory_lock(%(key)s::bigint) as taken,
       pg_backend_pid() as backend
