-- title: When each materialized view was refreshed, as the app's own table notes it
-- kind: read
-- returns: view_name text, refreshed_at time
-- params: table name, view name, time name
-- needs: select on that table, and to be let past its row level security
-- cost: reads a table with a row for each refresh or each view
-- lock: access share
-- since: 14
-- pooler: yes
select t.{view}::text as view_name, max(t.{time})::timestamptz as refreshed_at
from {table} t
group by 1
order by 1
