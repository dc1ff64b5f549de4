-- title: What a copy of this database must be like beside its tables
-- kind: read
-- returns: name text, owner text
-- params: nothing
-- needs: nothing
-- cost: one row from the catalog
-- lock: none
-- since: 14
-- pooler: yes
select d.datname::text as name, pg_get_userbyid(d.datdba)::text as owner
from pg_database d
where d.datname = current_database()
