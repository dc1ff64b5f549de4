-- title: Everything that people have made in this database, of whatever kind
-- kind: read
-- returns: kind text, name text
-- params: nothing
-- needs: nothing
-- cost: two dozen catalogs
-- lock: none
-- since: 14
-- pooler: yes
-- What came with the server has a lower number. Left out is what came with an extension, what another thing
-- brings along (array types, identity columns), what a table carries (indexes, triggers, policies: the
-- table itself is here), temporary things, and the schema public.
with things as (
  select 'pg_class'::regclass as catalog, oid as number from pg_class
  where relkind in ('r', 'p', 'v', 'm', 'S', 'f') and relpersistence <> 't'
  union all select 'pg_type'::regclass, oid from pg_type
  union all select 'pg_proc'::regclass, oid from pg_proc
  union all select 'pg_operator'::regclass, oid from pg_operator
  union all select 'pg_opclass'::regclass, oid from pg_opclass
  union all select 'pg_opfamily'::regclass, oid from pg_opfamily
  union all select 'pg_am'::regclass, oid from pg_am
  union all select 'pg_cast'::regclass, oid from pg_cast
  union all select 'pg_collation'::regclass, oid from pg_collation
  union all select 'pg_conversion'::regclass, oid from pg_conversion
  union all select 'pg_language'::regclass, oid from pg_language
  union all select 'pg_transform'::regclass, oid from pg_transform
  union all select 'pg_ts_config'::regclass, oid from pg_ts_config
  union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict
  union all select 'pg_ts_parser'::regclass, oid from pg_ts_parser
  union all select 'pg_ts_template'::regclass, oid from pg_ts_template
  union all select 'pg_statistic_ext'::regclass, oid from pg_statistic_ext
  union all select 'pg_default_acl'::regclass, oid from pg_default_acl
  union all select 'pg_event_trigger'::regclass, oid from pg_event_trigger
  union all select 'pg_foreign_data_wrapper'::regclass, oid from pg_foreign_data_wrapper
  union all select 'pg_foreign_server'::regclass, oid from pg_foreign_server
  union all select 'pg_publication'::regclass, oid from pg_publication
  union all select 'pg_largeobject'::regclass, oid from pg_largeobject_metadata
  union all select 'pg_subscription'::regclass, s.oid from pg_subscription s
    join pg_database d on d.oid = s.subdbid and d.datname = current_database()
  union all select 'pg_namespace'::regclass, oid from pg_namespace
    where not starts_with(nspname, 'pg_') and nspname <> 'public'
)
select o.type as kind, o.identity as name
from things, pg_identify_object(things.catalog, things.number, 0) o
where (things.number >= 16384 or things.catalog = 'pg_largeobject'::regclass)
  and o.identity is not null
  and coalesce(o.schema, '') !~ '^pg_(toast_)?temp'
  and not exists (
    select from pg_depend d
    where d.classid = things.catalog and d.objid = things.number and d.deptype = any ('{i,e}'))
order by 1, 2
