-- title: The search path and the time zone that a login of a role begins with here
-- kind: read
-- returns: name text, value text
-- params: role text
-- needs: nothing
-- cost: a few rows of the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `set role` loads no settings of a role, so they are looked up, in the server's own order: the role in this
-- database, the role, this database, every role. Then only the server's files are left: what our session
-- began with; or what is built in, where our own role has a value of its own, which hides theirs.
with given as (
  select s.setrole, s.setdatabase, lower(split_part(one.line, '=', 1)) as name,
         substr(one.line, strpos(one.line, '=') + 1) as value
  from pg_db_role_setting s cross join unnest(s.setconfig) as one (line)
  where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
)
select lower(p.name) as name,
       coalesce(
         (select g.value from given g left join pg_roles r on r.oid = g.setrole
          where g.name = lower(p.name) and (g.setrole = 0 or r.rolname = %(role)s)
          order by g.setrole = 0, g.setdatabase = 0 limit 1),
         case when exists (select from given g join pg_roles r on r.oid = g.setrole
                           where g.name = lower(p.name) and r.rolname = session_user)
              then p.boot_val else p.reset_val end) as value
from pg_settings p
where lower(p.name) in ('search_path', 'timezone')
order by 1
