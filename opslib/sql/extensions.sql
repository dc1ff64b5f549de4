-- title: Extensions installed in this database
-- kind: read
-- returns: name text, version text, schema text
-- params: nothing
-- needs: nothing
-- cost: one small catalog
-- lock: none
-- since: 14
-- pooler: yes
select e.extname as name, e.extversion as version, n.nspname as schema
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
order by e.extname
