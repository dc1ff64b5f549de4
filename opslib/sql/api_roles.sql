-- title: The roles that requests of the web API run as, and whether our role may act as them
-- kind: read
-- returns: role text, bypasses_rls bool, may_become bool
-- params: roles list
-- needs: nothing
-- cost: one small catalog
-- lock: none
-- since: 14
-- pooler: yes
select rolname::text as role,
       rolbypassrls or rolsuper as bypasses_rls,
       pg_has_role(oid, 'set') as may_become -- pg>=16
       pg_has_role(oid, 'member') as may_become -- pg<16
from pg_roles
where rolname = any(%(roles)s::text[])
order by 1
