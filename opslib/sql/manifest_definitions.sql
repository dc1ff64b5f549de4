-- title: The definition of each function, trigger and view that must be there after a restore
-- kind: read
-- returns: kind text, name text, detail text, definition text
-- params: nothing
-- needs: nothing
-- cost: four catalogs, up to a second for thousands of objects
-- lock: access share, for as long as a definition is read
-- since: 14
-- pooler: yes
-- Of `definition` a manifest has a checksum only: it is long, and a trigger that calls a webhook has its
-- token among the arguments. `detail` is what does not stand in it. Members of extensions come with their
-- extension, a partition's triggers with those of its parent. What was dropped a moment ago has no
-- definition any more.
with own as (
  select oid from pg_namespace where not starts_with(nspname, 'pg_') and nspname <> 'information_schema'
), member as (
  select classid, objid from pg_depend where deptype = 'e'
), relation as (
  select c.* from pg_class c
  where c.relnamespace in (select oid from own) and c.relpersistence <> 't'
    and c.oid::regclass::text !~ '^\d+$' and not exists (
      select from member m where m.classid = 'pg_class'::regclass and m.objid = c.oid)
), found as (
  select 'function' as kind, p.oid::regprocedure::text as name, '' as detail,
         pg_get_functiondef(p.oid) as definition
  from pg_proc p
  where p.prokind <> 'a' and p.pronamespace in (select oid from own) and not exists (
    select from member m where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
  union all
  select 'trigger', t.tgrelid::regclass::text || '.' || t.tgname, t.tgenabled::text,
         pg_get_triggerdef(t.oid)
  from pg_trigger t join relation c on c.oid = t.tgrelid where not t.tgisinternal and t.tgparentid = 0
  union all
  select 'view', c.oid::regclass::text,
         (select 'with ' || string_agg(o, ', ' order by o) from unnest(c.reloptions) o),
         pg_get_viewdef(c.oid)
  from relation c where c.relkind in ('v', 'm')
)
select kind, name, coalesce(detail, '') as detail, definition
from found where definition is not null
order by 1, 2
