-- title: Since when this server has counted the changes to rows, and when it was made
-- kind: read
-- returns: since time, made_at time, now time, is_replica bool, tracked bool
-- params: nothing
-- needs: execute on pg_control_system(), which everybody has unless it was taken away
-- cost: one row from memory
-- lock: none
-- since: 14
-- pooler: yes
-- A clean restart keeps the counters. After a crash all of them begin anew: those of a database say so
-- nowhere, the background writer's do. A server's number begins with the second in which it was made; a copy
-- has that of its origin, and elsewhere it may say anything: no server is younger than its start.
select greatest(d.stats_reset, (select b.stats_reset from pg_stat_bgwriter b)) as since,
       least(to_timestamp(((c.system_identifier >> 32) & 4294967295)::float8), pg_postmaster_start_time())
         as made_at,
       clock_timestamp() as now,
       pg_is_in_recovery() as is_replica,
       current_setting('track_counts')::boolean as tracked
from pg_stat_database d, pg_control_system() c
where d.datname = current_database()
