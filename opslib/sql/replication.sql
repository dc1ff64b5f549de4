-- title: How far replicas are behind; on a replica, how far it is behind itself
-- kind: read
-- returns: place text, name text, state text, sync_state text, lag seconds, lag_bytes int
-- params: nothing
-- needs: pg_monitor
-- cost: one row a replica, from memory
-- lock: none
-- since: 14
-- pooler: yes
select 'replica' as place,
       application_name as name,
       state,
       sync_state,
       coalesce(replay_lag, interval '0') as lag,
       case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint end
         as lag_bytes
from pg_stat_replication
where replay_lsn is not null
union all
-- A replica that has replayed all it got is not behind, however long ago the last change was: but only as
-- long as it still gets what its primary writes.
select 'this server',
       'replay',
       coalesce(w.status, 'stopped'),
       null,
       case when w.status = 'streaming' and pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()
            then interval '0'
            else clock_timestamp() - pg_last_xact_replay_timestamp() end,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint
from (select) here left join pg_stat_wal_receiver w on true
where pg_is_in_recovery()
order by lag desc nulls last, name
