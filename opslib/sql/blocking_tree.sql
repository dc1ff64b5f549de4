-- title: Who blocks whom: the root of each chain first, then those who wait
-- kind: read
-- returns: root int, depth int, pid int, application text, role text, state text, in_state seconds,
--   transaction seconds, waiting seconds, wants text, blocked_total int, longest_wait seconds, query text
-- params: nothing
-- needs: pg_monitor
-- cost: takes the lock table for a moment, once for each session that waits for a lock; not to be polled
-- lock: none
-- since: 14
-- pooler: yes
with recursive sessions as materialized (
  select *, case when wait_event_type = 'Lock' then pg_blocking_pids(pid) else '{}' end as blocked_by
  from pg_stat_activity
),
edges as (
  select pid, unnest(blocked_by) as blocker from sessions
),
-- Blocker 0 is a prepared transaction: it holds its locks without any session.
roots as (
  select distinct blocker as pid
  from edges
  where blocker = 0 or blocker in (select pid from sessions where cardinality(blocked_by) = 0)
),
tree as (
  select pid, pid as root, 0 as depth, array[pid] as path from roots
  union all
  select edges.pid, tree.root, tree.depth + 1, tree.path || edges.pid
  from edges join tree on tree.pid = edges.blocker
  where not edges.pid = any(tree.path)
),
waits as (
  select pid,
         max(clock_timestamp() - waitstart) as waiting,
         string_agg(distinct mode || ' on ' || coalesce(relation::regclass::text, locktype), ', ') as wants
  from pg_locks
  where not granted
  group by pid
),
-- A session that waits for several others is in the tree more than once; it counts once.
totals as (
  select tree.root, count(distinct tree.pid) as blocked_total, max(waits.waiting) as longest_wait
  from tree left join waits using (pid)
  where tree.depth > 0
  group by tree.root
)
select tree.root,
       tree.depth,
       tree.pid,
       case when tree.pid = 0 then '(prepared transaction)'
            else coalesce(nullif(s.application_name, ''), '(no name)') end as application,
       s.usename as role,
       s.state,
       clock_timestamp() - s.state_change as in_state,
       clock_timestamp() - s.xact_start as transaction,
       waits.waiting,
       waits.wants,
       totals.blocked_total,
       totals.longest_wait,
       left(s.query, 200) as query
from tree
  join totals using (root)
  left join sessions s on s.pid = tree.pid
  left join waits on waits.pid = tree.pid
order by totals.blocked_total desc, tree.root, tree.path
