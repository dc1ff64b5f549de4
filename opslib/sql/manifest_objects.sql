-- title: What must be there after a restore, but for rows: each thing with what it is made of
-- kind: read
-- returns: kind text, name text, detail text
-- params: nothing
-- needs: nothing
-- cost: two dozen catalogs, up to a second for thousands of objects
-- lock: access share, for as long as a definition is read
-- since: 14
-- pooler: yes
-- Members of extensions are left out: they come with their extension. But of their tables the names are
-- here, as one may have been added to it by hand, and then no dump has it. Left out is what a partitioned
-- table hands down to its partitions, but where a trigger is on or off unlike its parent, as it is numbered
-- anew, and an index that is not valid, which no dump holds. Columns are by name: one that a parent got
-- later moves to the front of its children. Options of foreign things may hold secrets, so only a checksum
-- of them is here. Functions, triggers and views have a statement of their own, `manifest_definitions`. The
-- server looks names up in the newest catalog: what was dropped since the view began has a bare number
-- there, and is left out.
with own as (
  select oid from pg_namespace where not starts_with(nspname, 'pg_') and nspname <> 'information_schema'
), member as (
  select classid, objid from pg_depend where deptype = 'e'
), relation as (
  select c.* from pg_class c
  where c.relnamespace in (select oid from own) and c.relpersistence <> 't'
    and c.oid::regclass::text !~ '^\d+$' and not exists (
      select from member m where (m.classid = 'pg_class'::regclass and m.objid = c.oid)
        or (m.classid = 'pg_type'::regclass and c.relkind = 'c' and m.objid = c.reltype))
), attribute as (
  select a.attrelid, a.attname, a.attnum,
         concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
           case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation end,
           case when a.attnotnull then 'not null' end,
           'identity ' || nullif(a.attidentity::text, ''),
           case a.attgenerated when '' then 'default ' else 'generated ' || a.attgenerated::text || ' ' end
             || pg_get_expr(d.adbin, d.adrelid),
           case when a.attstorage <> t.typstorage then 'storage ' || a.attstorage::text end,
           a.attoptions::text, md5(a.attfdwoptions::text)) as said
  from pg_attribute a join relation c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
), generic as (
  select 'pg_operator'::regclass as catalog, oid as number from pg_operator
  union all select 'pg_opclass'::regclass, oid from pg_opclass
  union all select 'pg_opfamily'::regclass, oid from pg_opfamily
  union all select 'pg_cast'::regclass, oid from pg_cast
  union all select 'pg_collation'::regclass, oid from pg_collation
  union all select 'pg_conversion'::regclass, oid from pg_conversion
  union all select 'pg_language'::regclass, oid from pg_language
  union all select 'pg_transform'::regclass, oid from pg_transform
  union all select 'pg_ts_config'::regclass, oid from pg_ts_config
  union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict
)
select 'schema' as kind, n.nspname::text as name, '' as detail
from pg_namespace n where n.oid in (select oid from own)
union all
select case c.relkind when 'f' then 'foreign table' else 'table' end, c.oid::regclass::text,
       concat_ws('; ',
         (select string_agg(a.said, ', ' order by a.attname) from attribute a where a.attrelid = c.oid),
         case c.relpersistence when 'u' then 'unlogged' end,
         'partition by ' || pg_get_partkeydef(c.oid),
         pg_get_expr(c.relpartbound, c.oid),
         (select 'inherits ' || string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
          from pg_inherits i where i.inhrelid = c.oid),
         (select 'with ' || string_agg(o, ', ' order by o) from unnest(c.reloptions) o),
         'replica identity ' || nullif(c.relreplident::text, 'd'),
         (select s.srvname || ' ' || md5(coalesce(f.ftoptions::text, ''))
          from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid))
from relation c where c.relkind in ('r', 'p', 'f')
union all
select 'composite type', c.oid::regclass::text,
       (select string_agg(a.said, ', ' order by a.attnum) from attribute a where a.attrelid = c.oid)
from relation c where c.relkind = 'c'
union all
select 'index', c.oid::regclass::text,
       concat_ws(' ', pg_get_indexdef(c.oid), case when i.indisreplident then 'replica identity' end,
         case when i.indisclustered then 'clustered' end)
from relation c join pg_index i on i.indexrelid = c.oid
where c.relkind = 'I' or (c.relkind = 'i' and i.indisvalid)
union all
select 'constraint', o.conrelid::regclass::text || '.' || o.conname,
       pg_get_constraintdef(o.oid) || case when o.convalidated then '' else ' not valid' end
from pg_constraint o join relation c on c.oid = o.conrelid
where o.contype <> 'n' and o.conparentid = 0 and pg_get_constraintdef(o.oid) is not null
union all
select 'extension table', c.oid::regclass::text, x.extname
from pg_class c
join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
join pg_extension x on d.refclassid = 'pg_extension'::regclass and x.oid = d.refobjid
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
union all
select 'row security', c.oid::regclass::text,
       case when c.relforcerowsecurity then 'forced' else 'on' end
from relation c where c.relkind in ('r', 'p') and c.relrowsecurity
union all
select 'policy', c.oid::regclass::text || '.' || p.polname,
       concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd, 'to',
         (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r)::text end, ', '
            order by pg_get_userbyid(r)) from unnest(p.polroles) r),
         coalesce(pg_get_expr(p.polqual, p.polrelid), ''), '/',
         coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))
from pg_policy p join relation c on c.oid = p.polrelid
union all
select 'function', p.oid::regprocedure::text,
       (select concat_ws(' ', a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
          a.aggtranstype::regtype, a.aggsortop::regoperator, a.agginitval)
        from pg_aggregate a where a.aggfnoid = p.oid)
from pg_proc p
where p.prokind = 'a' and p.oid::regprocedure::text !~ '^\d+$'
  and p.pronamespace in (select oid from own) and not exists (
  select from member m where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
union all
select 'trigger state', t.tgrelid::regclass::text || '.' || t.tgname, t.tgenabled::text
from pg_trigger t
join relation c on c.oid = t.tgrelid
join pg_trigger p on p.oid = t.tgparentid
where t.tgconstraint = 0 and t.tgenabled <> p.tgenabled
union all
select 'rule', r.ev_class::regclass::text || '.' || r.rulename,
       pg_get_ruledef(r.oid) || ' ' || r.ev_enabled::text
from pg_rewrite r join relation c on c.oid = r.ev_class where r.rulename <> '_RETURN'
union all
select 'filled', c.oid::regclass::text, c.relispopulated::text from relation c where c.relkind = 'm'
union all
select 'sequence', c.oid::regclass::text,
       concat_ws(' ', q.seqtypid::regtype, 'start', q.seqstart, 'by', q.seqincrement, 'from', q.seqmin,
         'to', q.seqmax, 'cache', q.seqcache, case when q.seqcycle then 'cycle' end,
         (select 'of ' || d.refobjid::regclass || '.' || a.attname
          from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
          where d.classid = 'pg_class'::regclass and d.objid = c.oid
            and d.refclassid = 'pg_class'::regclass and d.deptype = any ('{a,i}')))
from pg_sequence q join relation c on c.oid = q.seqrelid
union all
select case t.typtype when 'd' then 'domain' when 'r' then 'range type' else 'type' end,
       t.oid::regtype::text,
       concat_ws(' ',
         (select string_agg(e.enumlabel, ', ' order by e.enumsortorder)
          from pg_enum e where e.enumtypid = t.oid),
         (select concat_ws(' ', r.rngsubtype::regtype, o.opcname, nullif(r.rngcollation, 0)::regcollation,
            r.rngcanonical, r.rngsubdiff)
          from pg_range r join pg_opclass o on o.oid = r.rngsubopc where r.rngtypid = t.oid),
         case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
         case when t.typtype = 'd' then nullif(t.typcollation, 0)::regcollation::text end,
         case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
         (select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' order by k.conname)
          from pg_constraint k where k.contypid = t.oid and k.contype <> 'n'))
from pg_type t
where t.typtype in ('d', 'e', 'r') and t.typnamespace in (select oid from own)
  and t.oid::regtype::text !~ '^\d+$' and not exists (
  select from member m where m.classid = 'pg_type'::regclass and m.objid = t.oid)
union all
select 'statistics', s.stxnamespace::regnamespace || '.' || s.stxname, pg_get_statisticsobjdef(s.oid)
from pg_statistic_ext s join relation c on c.oid = s.stxrelid
union all
select 'publication', p.pubname,
       concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
         (select string_agg(concat_ws(' ', r.prrelid::regclass
            , 'where ' || pg_get_expr(r.prqual, r.prrelid) -- pg>=15
            , (select string_agg(a.attname, ' ' order by a.attname) from pg_attribute a -- pg>=15
               where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)) -- pg>=15
            ), ', ' order by r.prrelid::regclass::text)
          from pg_publication_rel r where r.prpubid = p.oid)
         , (select string_agg(m.nspname, ', ' order by m.nspname) -- pg>=15
          from pg_publication_namespace n join pg_namespace m on m.oid = n.pnnspid -- pg>=15
          where n.pnpubid = p.oid) -- pg>=15
         )
from pg_publication p
where not exists (select from member m where m.classid = 'pg_publication'::regclass and m.objid = p.oid)
union all
select 'event trigger', t.evtname,
       concat_ws(' ', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, t.evttags::text)
from pg_event_trigger t
where not exists (select from member m where m.classid = 'pg_event_trigger'::regclass and m.objid = t.oid)
union all
select 'foreign data wrapper', w.fdwname,
       concat_ws(' ', nullif(w.fdwhandler, 0)::regproc, nullif(w.fdwvalidator, 0)::regproc,
         md5(w.fdwoptions::text))
from pg_foreign_data_wrapper w
where not exists (
  select from member m where m.classid = 'pg_foreign_data_wrapper'::regclass and m.objid = w.oid)
union all
select 'foreign server', s.srvname,
       concat_ws(' ', w.fdwname, s.srvtype, s.srvversion, md5(s.srvoptions::text))
from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw
where not exists (select from member m where m.classid = 'pg_foreign_server'::regclass and m.objid = s.oid)
union all
select 'user mapping', coalesce(u.usename::text, 'public') || ' at ' || u.srvname, '' from pg_user_mappings u
union all
select 'large objects', 'all',
       count(*) || ' ' || sum(hashtextextended(concat_ws(' ', l.oid, pg_get_userbyid(l.lomowner), (
         select string_agg(distinct concat(
           case a.grantee when 0 then 'public' when l.lomowner then ''
           else pg_get_userbyid(a.grantee)::text end, ' ', a.privilege_type,
           case when a.is_grantable and a.grantee <> l.lomowner then '*' end), ', ')
         from aclexplode(coalesce(l.lomacl, acldefault('L', l.lomowner))) a)), 0))
from pg_largeobject_metadata l having count(*) > 0
union all
select 'other', o.type || ' ' || o.identity, ''
from generic g, pg_identify_object(g.catalog, g.number, 0) o
where g.number >= 16384 and o.identity is not null and coalesce(o.schema, '') !~ '^pg_' and not exists (
  select from pg_depend d where d.classid = g.catalog and d.objid = g.number and d.deptype = any ('{i,e}'))
order by 1, 2
