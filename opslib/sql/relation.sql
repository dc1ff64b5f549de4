-- title: The relations that a name may mean
-- kind: read
-- returns: schema text, name text, kind text, owner text, mine bool, rows_estimate int, bytes int,
--   filtered bool
-- params: schema text, name text
-- needs: nothing
-- cost: one look at the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- Without a schema, any relation of that name outside the system's own schemas. `mine`: our role has the
-- owner's rights. Rows and bytes are those of the last vacuum or analyze, so that a locked table is
-- listed too. `filtered`: row security hides rows from our role.
select n.nspname as schema, c.relname as name,
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table'
         when 'm' then 'materialized view'
         when 'v' then 'view' when 'i' then 'index' when 'I' then 'partitioned index' when 'S' then 'sequence'
         when 'f' then 'foreign table' end as kind,
       r.rolname as owner, pg_has_role(c.relowner, 'usage') as mine,
       greatest(c.reltuples, 0)::bigint as rows_estimate,
       c.relpages::bigint * current_setting('block_size')::bigint as bytes,
       row_security_active(c.oid) as filtered
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_roles r on r.oid = c.relowner
where c.relname = %(name)s
  and c.relkind in ('r', 'p', 'm', 'v', 'i', 'I', 'S', 'f')
  and case when %(schema)s <> '' then n.nspname = %(schema)s
      else not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema' end
order by n.nspname, c.relname
