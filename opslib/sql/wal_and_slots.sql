-- title: Replication slots and the WAL that they keep on the disk
-- kind: read
-- returns: slot text, kind text, database text, active bool, wal_status text, retained_bytes int,
--   safe_wal_bytes int
-- params: nothing
-- needs: nothing
-- cost: one row a slot, from memory
-- lock: none
-- since: 14
-- pooler: yes
with here as (
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn
)
select slot_name as slot,
       coalesce(plugin, slot_type) as kind,
       database,
       active,
       wal_status,
       greatest(pg_wal_lsn_diff(here.lsn, restart_lsn), 0)::bigint as retained_bytes,
       safe_wal_size as safe_wal_bytes
from pg_replication_slots, here
order by retained_bytes desc nulls last, slot_name
