-- title: Transactions that hold a lock on a table, if only since they have read it
-- kind: read
-- returns: schema text, table_name text, holder text, name text, owner text, mode text, since seconds,
--   detail text
-- params: nothing
-- needs: pg_monitor
-- cost: one row a lock, from memory
-- lock: none
-- since: 14
-- pooler: yes
-- A transaction that has read a table and now does nothing has no snapshot and no id, and shows among no
-- holders of old rows; what is rebuilt or dropped CONCURRENTLY waits for it all the same. Autovacuum gives
-- way, unless it averts a wraparound.
select n.nspname as schema,
       c.relname as table_name,
       case when l.pid is null then 'prepared transaction' else 'session' end as holder,
       coalesce(l.pid::text, p.gid) as name,
       coalesce(nullif(a.application_name, ''), a.usename, a.backend_type, p.owner) as owner,
       l.mode,
       clock_timestamp() - coalesce(a.xact_start, p.prepared) as since,
       a.state as detail
from pg_locks l
  join pg_class c on c.oid = l.relation and c.relkind in ('r', 'p', 'm')
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_stat_activity a on a.pid = l.pid
  left join pg_prepared_xacts p on l.pid is null and l.virtualtransaction = '-1/' || p.transaction::text
where l.locktype = 'relation' and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
  and l.pid is distinct from pg_backend_pid()
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and not (coalesce(a.backend_type, '') = 'autovacuum worker'
           and strpos(coalesce(a.query, ''), 'to prevent wraparound') = 0)
order by since desc nulls last, 1, 2, 4
