-- title: What keeps vacuum from removing dead rows: old snapshots, slots, prepared transactions, standbys
-- kind: read
-- returns: holder text, name text, owner text, xmin_age int, since seconds, detail text
-- params: nothing
-- needs: pg_monitor
-- cost: one row a holder, from memory
-- lock: none
-- since: 14
-- pooler: yes
-- Of sessions and prepared transactions only those of this database, as vacuum sees it; a walsender that
-- streams has none. A vacuum holds up no other, nor do its workers.
with here as (select oid, datname from pg_database where datname = current_database()),
vacuums as (select pid from pg_stat_progress_vacuum)
select 'session' as holder, pid::text as name,
       coalesce(nullif(application_name, ''), usename, backend_type) as owner,
       -- A transaction that wrote and now does nothing has no snapshot, but its own id holds vacuum too.
       greatest(age(backend_xmin), age(backend_xid)) as xmin_age,
       clock_timestamp() - xact_start as since, state as detail
from pg_stat_activity
where (backend_xmin is not null or backend_xid is not null) and pid <> pg_backend_pid()
  and (datid is null or datid = (select oid from here))
  and coalesce(leader_pid, pid) not in (select pid from vacuums)
union all
select 'slot', slot_name, coalesce(plugin, slot_type), greatest(age(xmin), age(catalog_xmin)), null,
       case when active then 'active' else 'inactive' end
from pg_replication_slots
where xmin is not null or catalog_xmin is not null
union all
select 'prepared transaction', gid, owner, age(transaction), clock_timestamp() - prepared, database
from pg_prepared_xacts
where database = (select datname from here)
union all
select 'standby', pid::text, application_name, age(backend_xmin), null, state
from pg_stat_replication
where backend_xmin is not null
order by xmin_age desc nulls last
