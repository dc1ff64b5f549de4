-- title: What must be there after a restore, but for rows: each thing with what it is made of
-- kind: read
-- returns: kind text, name text, detail text
-- params: nothing
-- needs: nothing
-- cost: several catalogs, up to a second for thousands of objects
-- lock: access share, for as long as a definition is read
-- since: 14
-- pooler: yes
-- Members of extensions are left out: they come with their extension. So is what a partitioned table hands
-- down to its partitions, which is numbered anew, and an index that is not valid, which no dump holds. Columns
-- are by name: one that a parent got later moves to the front of its children.
with own as (
  select oid from pg_namespace where not starts_with(nspname, 'pg_') and nspname <> 'information_schema'
), relation as (
  select c.* from pg_class c
  where c.relnamespace in (select oid from own) and c.relpersistence <> 't'
    and not exists (
      select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype not in ('n', 'x'))
)
select 'schema' as kind, n.nspname::text as name, '' as detail
from pg_namespace n where n.oid in (select oid from own)
union all
select 'table', c.oid::regclass::text,
       (select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
               || case when a.attnotnull then ' not null' else '' end, ', ' order by a.attname)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
from relation c where c.relkind in ('r', 'p')
union all
select 'index', c.oid::regclass::text, pg_get_indexdef(c.oid)
from relation c join pg_index i on i.indexrelid = c.oid
where c.relkind = 'I' or (c.relkind = 'i' and i.indisvalid)
union all
select 'constraint', o.conrelid::regclass::text || '.' || o.conname,
       pg_get_constraintdef(o.oid) || case when o.convalidated then '' else ' not valid' end
from pg_constraint o join relation c on c.oid = o.conrelid where o.contype <> 'n' and o.conparentid = 0
union all
select 'row security', c.oid::regclass::text,
       case when c.relforcerowsecurity then 'forced' else 'on' end
from relation c where c.relkind in ('r', 'p') and c.relrowsecurity
union all
select 'policy', c.oid::regclass::text || '.' || p.polname,
       p.polcmd::text || ' ' || coalesce(pg_get_expr(p.polqual, p.polrelid), '')
       || ' / ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
from pg_policy p join relation c on c.oid = p.polrelid
union all
select 'function', p.oid::regprocedure::text, md5(p.prosrc)
from pg_proc p
where p.pronamespace in (select oid from own) and not exists (
  select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype not in ('n', 'x'))
union all
select 'trigger', t.tgrelid::regclass::text || '.' || t.tgname, t.tgenabled::text
from pg_trigger t join relation c on c.oid = t.tgrelid where not t.tgisinternal and t.tgparentid = 0
union all
select 'view', c.oid::regclass::text, md5(pg_get_viewdef(c.oid))
from relation c where c.relkind in ('v', 'm')
union all
select 'type', t.oid::regtype::text,
       (select string_agg(e.enumlabel, ', ' order by e.enumsortorder)
        from pg_enum e where e.enumtypid = t.oid)
from pg_type t
where t.oid in (select enumtypid from pg_enum) and t.typnamespace in (select oid from own) and not exists (
  select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype not in ('n', 'x'))
order by 1, 2
