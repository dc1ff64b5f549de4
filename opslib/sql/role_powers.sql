-- title: Roles, what they may do beyond their own tables, and whether anybody uses them
-- kind: read
-- returns: role text, login bool, superuser bool, builtin bool, owns_database bool, powers list,
--   member_of list, granted list, connection_limit int, expires time, expired bool, sessions int, owned
--   int, settings list
-- params: nothing
-- needs: pg_monitor
-- cost: one row a role, from the catalog and memory
-- lock: none
-- since: 14
-- pooler: yes
-- `powers`: attributes, its own and those of each role that it can become, and the predefined roles that
-- reach beyond reading; memberships count, direct or not. `builtin`: the superuser that the server was made
-- with. Passwords can't be read.
select r.rolname::text as role, r.rolcanlogin as login, r.rolsuper as superuser, r.oid = 10 as builtin,
       r.oid = (select datdba from pg_database where datname = current_database()) as owns_database,
       array(select power from pg_roles g cross join lateral (values
           (g.rolsuper, 'superuser'), (g.rolcreaterole, 'createrole'), (g.rolcreatedb, 'createdb'),
           (g.rolreplication, 'replication'), (g.rolbypassrls, 'bypassrls')) has (it, power)
         where has.it
           and case when r.rolsuper then g.oid = r.oid else pg_has_role(r.oid, g.oid, 'member') end
         group by power order by power)
       || case when r.rolsuper then '{}' else array(
         select g.rolname::text from pg_roles g
         where g.rolname in ('pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files',
                             'pg_write_server_files', 'pg_signal_backend', 'pg_maintain',
                             'pg_create_subscription', 'pg_checkpoint')
           and pg_has_role(r.oid, g.oid, 'member') order by 1) end as powers,
       array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
             where m.member = r.oid group by 1 order by 1) as member_of,
       array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
             where m.member = r.oid and m.admin_option group by 1 order by 1) as granted,
       r.rolconnlimit as connection_limit, nullif(r.rolvaliduntil, 'infinity') as expires,
       coalesce(r.rolvaliduntil < clock_timestamp(), false) as expired,
       (select count(*) from pg_stat_activity a where a.usesysid = r.oid) as sessions,
       (select count(*) from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
          and d.deptype = 'o') as owned,
       coalesce(r.rolconfig, '{}') as settings
from pg_roles r
where not starts_with(r.rolname, 'pg_')
order by r.rolsuper desc, r.rolcanlogin desc, 1
