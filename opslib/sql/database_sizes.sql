-- title: Size of each database that our role may ask about
-- kind: read
-- returns: database text, bytes int, is_current bool
-- params: nothing
-- needs: nothing
-- cost: reads the file sizes of each database; seconds with very many tables
-- lock: none
-- since: 14
-- pooler: yes
select datname as database, pg_database_size(oid) as bytes, datname = current_database() as is_current
from pg_database
where datallowconn
  and not datistemplate
  and (has_database_privilege(oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage'))
order by bytes desc, datname
