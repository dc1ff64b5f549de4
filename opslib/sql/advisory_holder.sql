-- title: Who has an advisory lock in this database
-- kind: read
-- returns: pid int, application text, role text, connected_at time
-- params: key int
-- needs: pg_monitor
-- cost: reads the lock table once
-- lock: none
-- since: 14
-- pooler: yes
select l.pid,
       coalesce(nullif(a.application_name, ''), '(no name)') as application,
       coalesce(a.usename::text, '(hidden)') as role,
       a.backend_start as connected_at
from pg_locks l
join pg_database d on d.oid = l.database and d.datname = current_database()
left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory'
  and l.granted
  and l.objsubid = 1
  and (l.classid::bigint << 32) | l.objid::bigint = %(key)s::bigint
