-- title: Materialized views: filled or not, how they can be refreshed, and marks that a refresh changes
-- kind: read
-- returns: schema text, view_name text, populated bool, concurrently bool, bytes int, rows_estimate int,
--   mark text, file text, held bool, owner text, mine bool, maintained bool
-- params: schema text, name text
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- All of them where no name is given. `concurrently`: filled, and with a whole unique index over plain
-- columns. The server keeps no time of a refresh. `mark`: the transaction that wrote the view's row in the
-- catalog; each refresh does, but so does a grant. `file`: where its rows are; only a refresh that shuts
-- readers out makes a new one. `held`: others hold a lock on it now, if only to read.
select n.nspname as schema,
       c.relname as view_name,
       c.relispopulated as populated,
       c.relispopulated and exists (
         select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid
           and i.indimmediate and i.indpred is null and i.indexprs is null) as concurrently,
       c.relpages * current_setting('block_size')::bigint as bytes,
       greatest(c.reltuples, 0)::bigint as rows_estimate,
       c.xmin::text as mark,
       pg_relation_filenode(c.oid)::text as file,
       exists (select from pg_locks l where l.relation = c.oid and l.granted and l.pid <> pg_backend_pid()
               and l.database = (select oid from pg_database where datname = current_database())) as held,
       pg_get_userbyid(c.relowner)::text as owner,
       pg_has_role(c.relowner, 'usage') as mine,
       has_table_privilege(c.oid, 'maintain') as maintained -- pg>=17
       pg_has_role(c.relowner, 'usage') as maintained -- pg<17
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'm'
  and (%(name)s = '' or (n.nspname = %(schema)s and c.relname = %(name)s))
order by 1, 2
