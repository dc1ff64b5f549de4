-- title: Tables, how much changed since they were last vacuumed and analyzed, and who may tend them
-- kind: read
-- returns: schema text, table_name text, live_rows int, dead_rows int, changed_rows int, changed_pct float,
--   toast_live int, toast_dead int, last_vacuum time, last_analyze time, never_analyzed bool,
--   autovacuum_enabled bool, bytes int, toast_bytes int, index_bytes int, xid_age int, multixact_age int,
--   pct_of_freeze_age float, pct_to_wraparound float, in_progress text, locked bool, owner text, mine bool,
--   maintained bool
-- params: schema text, name text
-- needs: pg_monitor
-- cost: one row a table, from memory and catalog
-- lock: none
-- since: 14
-- pooler: yes
-- All of them where no name is given, but for temporary ones, which only their own session can tend.
-- Sizes are those of the last vacuum or analyze, ages those of the oldest row that is not frozen, be it
-- stored out of line; `toast_*` counts the pieces that are, of which four fill a page.
-- `locked`: somebody holds a lock that keeps vacuum and analyze off, which then skip the table.
select s.schemaname as schema,
       s.relname as table_name,
       s.n_live_tup as live_rows,
       s.n_dead_tup as dead_rows,
       s.n_mod_since_analyze as changed_rows,
       round(100.0 * s.n_mod_since_analyze / greatest(s.n_live_tup, s.n_mod_since_analyze, 1), 1)
         as changed_pct,
       coalesce(pg_stat_get_live_tuples(c.reltoastrelid), 0) as toast_live,
       coalesce(pg_stat_get_dead_tuples(c.reltoastrelid), 0) as toast_dead,
       greatest(s.last_vacuum, s.last_autovacuum) as last_vacuum,
       greatest(s.last_analyze, s.last_autoanalyze) as last_analyze,
       c.reltuples < 0 as never_analyzed,
       coalesce((select option_value from pg_options_to_table(c.reloptions)
                 where option_name = 'autovacuum_enabled'), 'true')::boolean
         and current_setting('autovacuum')::boolean as autovacuum_enabled,
       c.relpages * block.size as bytes,
       greatest(coalesce(o.relpages, 0),
                coalesce(pg_stat_get_live_tuples(c.reltoastrelid), 0) / 4) * block.size as toast_bytes,
       coalesce((select sum(k.relpages) from pg_index i join pg_class k on k.oid = i.indexrelid
                 where i.indrelid = s.relid), 0)::bigint * block.size as index_bytes,
       age.xid as xid_age,
       age.multixact as multixact_age,
       round(100 * greatest(
         age.xid / current_setting('autovacuum_freeze_max_age')::numeric,
         age.multixact / current_setting('autovacuum_multixact_freeze_max_age')::numeric
       ), 1) as pct_of_freeze_age,
       round(100 * greatest(age.xid, age.multixact) / 2147483647.0, 2) as pct_to_wraparound,
       case when exists (select from pg_stat_progress_vacuum p where p.relid = s.relid) then 'vacuum'
            when exists (select from pg_stat_progress_analyze p where p.relid = s.relid) then 'analyze'
            else '' end as in_progress,
       exists (select from pg_locks l where l.relation = s.relid and l.granted
               and l.database = (select oid from pg_database where datname = current_database())
               and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                              'ExclusiveLock', 'AccessExclusiveLock')) as locked,
       pg_get_userbyid(c.relowner)::text as owner,
       pg_has_role(c.relowner, 'usage') as mine,
       has_table_privilege(c.oid, 'maintain') as maintained -- pg>=17
       pg_has_role(c.relowner, 'usage') as maintained -- pg<17
from pg_stat_user_tables s
  join pg_class c on c.oid = s.relid
  left join pg_class o on o.oid = c.reltoastrelid
  cross join lateral (
    select greatest(age(nullif(c.relfrozenxid, '0')), age(o.relfrozenxid)) as xid,
           greatest(mxid_age(nullif(c.relminmxid, '0')), mxid_age(o.relminmxid)) as multixact
  ) age
  cross join (select current_setting('block_size')::bigint as size) block
where c.relpersistence <> 't'
  and (%(name)s = '' or (s.schemaname = %(schema)s and s.relname = %(name)s))
order by s.n_dead_tup desc, s.n_mod_since_analyze desc, 1, 2
