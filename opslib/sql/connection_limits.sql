-- title: Limits on connections of single roles and databases, with what is used of each
-- kind: read
-- returns: scope text, name text, connection_limit int, used int, pct_used float
-- params: nothing
-- needs: nothing
-- cost: one row a limited role or database
-- lock: none
-- since: 14
-- pooler: yes
with limits as (
  select 'role' as scope, rolname as name, rolconnlimit as connection_limit,
         (select count(*) from pg_stat_activity a where a.usesysid = r.oid) as used
  from pg_roles r
  where rolconnlimit >= 0 and rolcanlogin
  union all
  select 'database', datname, datconnlimit,
         (select count(*) from pg_stat_activity a where a.datid = d.oid)
  from pg_database d
  where datconnlimit >= 0 and datallowconn
)
select scope, name, connection_limit, used, round(100.0 * used / nullif(connection_limit, 0), 1) as pct_used
from limits
order by pct_used desc nulls last, scope, name
