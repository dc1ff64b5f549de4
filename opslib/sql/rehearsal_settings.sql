-- title: What every login of this database begins with
-- kind: read
-- returns: name text, value text
-- params: nothing
-- needs: nothing
-- cost: a few rows of the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Those that any role could set for itself, and the app's own, which have a dot. Not what loads programs, nor
-- who one is. Of the same name twice the later one, of this database alone, counts.
with given as (
  select s.setdatabase, lower(split_part(one.line, '=', 1)) as name,
         substr(one.line, strpos(one.line, '=') + 1) as value
  from pg_db_role_setting s cross join unnest(s.setconfig) as one (line)
  where s.setrole = 0
    and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
)
select g.name, g.value
from given g
where g.name !~ 'preload_libraries$' and g.name not in ('role', 'session_authorization')
  and (strpos(g.name, '.') > 0
       or exists (select from pg_settings p where lower(p.name) = g.name and p.context = 'user'))
order by g.setdatabase, g.name
