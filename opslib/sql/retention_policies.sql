-- title: How long the app itself keeps rows of which table, and when it last cleared away
-- kind: read
-- returns: table_name text, column_name text, keep_days int, legal_hold bool, last_cleanup_at time,
--   last_deleted int
-- params: nothing
-- needs: select on public.retention_policies, and to be let past its row level security
-- cost: one row a table
-- lock: access share
-- since: 14
-- pooler: yes
-- Where nobody has said whether something holds the rows, it does.
select table_name, column_name, keep_days, legal_hold is distinct from false as legal_hold,
       last_cleanup_at, last_deleted
from public.retention_policies
order by table_name
