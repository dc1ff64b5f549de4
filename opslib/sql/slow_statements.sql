-- title: The statements that took most of the server's time
-- kind: read
-- returns: queryid text, role text, calls int, total_ms float, mean_ms float, max_ms float, rows_per_call
--   float, share_pct float, cache_hit_pct float, temp_blocks int, io_ms float, query text
-- params: statements name, min_calls int, rows int
-- needs: pg_monitor
-- cost: one pass over the statistics
-- lock: none
-- since: 14
-- pooler: yes
-- By total time: the mean alone shows what ran once. Left out: other databases, opslib's own, and
-- commands that have no plan. to_jsonb bridges a column's new name in 17.
with here as (
  select s.*, to_jsonb(s) as columns,
         s.total_exec_time / nullif(sum(s.total_exec_time) over (), 0) as share
  from {statements}.pg_stat_statements s
  where s.dbid = (select oid from pg_database where datname = current_database()) and s.toplevel
)
select h.queryid::text as queryid, r.rolname::text as role, h.calls,
       h.total_exec_time as total_ms, h.mean_exec_time as mean_ms, h.max_exec_time as max_ms,
       h.rows::float8 / nullif(h.calls, 0) as rows_per_call,
       round((100 * h.share)::numeric, 1) as share_pct,
       round(100.0 * h.shared_blks_hit / nullif(h.shared_blks_hit + h.shared_blks_read, 0), 1)
         as cache_hit_pct,
       h.temp_blks_written as temp_blocks,
       round(coalesce(h.columns ->> 'shared_blk_read_time', h.columns ->> 'blk_read_time')::numeric, 1)
         as io_ms,
       left(h.query, 20000) as query
from here h
left join pg_roles r on r.oid = h.userid
where h.calls >= %(min_calls)s
  and not coalesce(starts_with(r.rolname, 'opslib_'), false)
  and (h.query ~* '^(\s|[(]|/[*]([^*]|[*]+[^*/])*[*]+/|--[^\n]*\n)*(select|with|insert|update|delete|merge)\M'
       or h.query = '<insufficient privilege>')
order by h.total_exec_time desc
limit %(rows)s
