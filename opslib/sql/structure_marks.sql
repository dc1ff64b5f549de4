-- title: A mark that is another as soon as some tables, or what hangs on them, were altered
-- kind: read
-- returns: mark text
-- params: schemas list, names list
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- Of each row of the catalog which says something of them it takes the transaction that wrote it, so that
-- it need not understand what was altered. It may be another where nothing of weight was: who sees that
-- looks closer. Schemas and names go in pairs.
with ours as (
  select c.oid from unnest(%(schemas)s::text[], %(names)s::text[]) w (schema, name)
  join pg_namespace n on n.nspname = w.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = w.name
),
related as (
  select oid from ours
  union select f.conrelid from pg_constraint f where f.contype = 'f' and f.confrelid in (select oid from ours)
),
noted as (
  select concat_ws(' ', 'table', c.oid, c.xmin, n.xmin) as row from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.oid in (select oid from related)
  union all select concat_ws(' ', 'column', a.attrelid, a.attnum, a.xmin, t.xmin) from pg_attribute a
    left join pg_type t on t.oid = a.atttypid
    where a.attnum > 0 and a.attrelid in (select oid from related)
  union all select concat_ws(' ', 'constraint', f.oid, f.xmin) from pg_constraint f
    where f.conrelid in (select oid from ours) or f.confrelid in (select oid from ours)
  union all select concat_ws(' ', 'trigger', g.oid, g.xmin) from pg_trigger g
    where g.tgrelid in (select oid from related)
  union all select concat_ws(' ', 'rule', r.oid, r.xmin) from pg_rewrite r
    where r.ev_class in (select oid from related)
  union all select concat_ws(' ', 'heir', h.inhrelid, h.xmin) from pg_inherits h
    where h.inhparent in (select oid from ours)
  union all select concat_ws(' ', 'index', i.indexrelid, i.xmin) from pg_index i
    where i.indrelid in (select oid from related)
)
select coalesce(sum(hashtextextended(row, 0)), 0)::text as mark from noted
