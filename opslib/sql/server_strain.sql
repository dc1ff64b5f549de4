-- title: Whether others have to wait: replicas, and sessions in queues for locks
-- kind: read
-- returns: replica_behind seconds, waiting int
-- params: nothing
-- needs: pg_monitor
-- cost: memory only; one look at the lock table
-- lock: none
-- since: 14
-- pooler: yes
select (select max(r.replay_lag) from pg_stat_replication r) as replica_behind,
       (select count(*) from pg_locks l
        where not l.granted and clock_timestamp() - l.waitstart > interval '1 second') as waiting
