-- title: Which database of which server this is, under whatever address it was reached
-- kind: read
-- returns: system_identifier text, database_oid int
-- params: nothing
-- needs: execute on pg_control_system(), which everybody has unless it was taken away
-- cost: one row
-- lock: none
-- since: 14
-- pooler: yes
-- A copy that was made of the server's files, such as a replica or a branch, has the same numbers.
select c.system_identifier::text as system_identifier, d.oid::bigint as database_oid
from pg_control_system() c
join pg_database d on d.datname = current_database()
