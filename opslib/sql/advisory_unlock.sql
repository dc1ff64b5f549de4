-- title: Gives back an advisory lock of this session
-- kind: lock
-- returns: released bool
-- params: key int
-- needs: nothing
-- cost: none
-- lock: none
-- since: 14
-- pooler: no
select pg_advisory_unlock(%(key)s::bigint) as released
