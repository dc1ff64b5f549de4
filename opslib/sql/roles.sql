-- title: The roles of this server
-- kind: read
-- returns: role text, can_login bool, superuser bool, bypasses_rls bool
-- params: nothing
-- needs: nothing
-- cost: one small catalog
-- lock: none
-- since: 14
-- pooler: yes
select rolname as role, rolcanlogin as can_login, rolsuper as superuser, rolbypassrls as bypasses_rls
from pg_roles
order by rolname
