-- title: How far each database is on the way to transaction id wraparound
-- kind: read
-- returns: database text, xid_age int, multixact_age int, pct_of_freeze_age float, pct_to_wraparound
--   float, xids_left int
-- params: nothing
-- needs: nothing
-- cost: one row a database
-- lock: none
-- since: 14
-- pooler: yes
with ages as (
  select datname, age(datfrozenxid) as xid_age, mxid_age(datminmxid) as multixact_age
  from pg_database
  where datallowconn
)
select datname as database,
       xid_age,
       multixact_age,
       -- Above 100 for a long time: autovacuum can't keep up.
       round(100.0 * xid_age / current_setting('autovacuum_freeze_max_age')::bigint, 1) as pct_of_freeze_age,
       round(100.0 * greatest(xid_age, multixact_age) / 2147483647, 2) as pct_to_wraparound,
       2147483647::bigint - xid_age as xids_left
from ages
order by greatest(xid_age, multixact_age) desc, datname
