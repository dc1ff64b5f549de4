-- title: The columns of a table of which each value can be there once only
-- kind: read
-- returns: column_name text
-- params: schema text, name text
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
select a.attname as column_name
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where i.indisunique and i.indisvalid and i.indpred is null and i.indnkeyatts = 1
  and n.nspname = %(schema)s and c.relname = %(name)s
order by a.attname
