-- title: What a copy of this database must be like beside its tables
-- kind: read
-- returns: owner text, search_path text
-- params: nothing
-- needs: nothing
-- cost: one row from the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `search_path`: what new sessions here begin with, not what we have set for our own.
select pg_get_userbyid(d.datdba)::text as owner,
       (select reset_val from pg_settings where name = 'search_path') as search_path
from pg_database d
where d.datname = current_database()
