-- title: Tables and what else is in a dump, and whether this role would get all of them into a backup
-- kind: read
-- returns: table_name text, kind text, can_read bool, rls_hides bool, unlogged bool, rows_estimate int,
--     bytes_estimate int, emptied bool
-- params: nothing
-- needs: nothing
-- cost: a few catalogs
-- lock: access share, for a moment, on tables of extensions
-- since: 14
-- pooler: yes
-- `rls_hides`: row-level security would keep rows from us. pg_dump refuses such a table, and with
-- --enable-row-security it would leave the rows out without a word. Of a member of an extension pg_dump takes
-- the rows only where the extension says so; any other that has rows, and would keep them after a crash, is
-- here as a table of an extension: nobody's dump has it.
-- `emptied`: a standby has no rows of unlogged tables. All large objects are one row here; may each be read?
-- pg_read_all_data holds for none of them. Subscriptions, and options of user mappings, are left out of the
-- dump of a role that may not see them, without an error; whether a mapping has any, nobody else can tell.
select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as table_name,
       case c.relkind when 'S' then 'sequence' when 'p' then 'partitioned table' else 'table' end as kind,
       has_schema_privilege(n.oid, 'usage') and case c.relkind
         when 'S' then has_sequence_privilege(c.oid, 'select')
         else has_table_privilege(c.oid, 'select') end as can_read,
       c.relrowsecurity and (c.relforcerowsecurity or not pg_has_role(c.relowner, 'usage'))
         and not (me.rolbypassrls or me.rolsuper) as rls_hides,
       c.relpersistence = 'u' as unlogged,
       greatest(c.reltuples, 0)::bigint as rows_estimate,
       c.relpages::bigint * current_setting('block_size')::bigint as bytes_estimate,
       c.relpersistence = 'u' and pg_is_in_recovery() as emptied
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_roles me on me.rolname = current_user
where c.relkind in ('r', 'p', 'S')
  and c.relpersistence <> 't'
  and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
  and not exists (
    select from pg_depend d
    join pg_extension x on x.oid = d.refobjid
    where d.classid = 'pg_class'::regclass and d.objid = c.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype not in ('n', 'x')
      and c.oid <> all (coalesce(x.extconfig, '{}')))
union all
select quote_ident(n.nspname) || '.' || quote_ident(c.relname), 'table of an extension',
       false, false, false, greatest(c.reltuples, 0)::bigint, pg_relation_size(c.oid), false
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence = 'p' and case when exists (
    select from pg_depend d
    join pg_extension x on x.oid = d.refobjid
    where d.classid = 'pg_class'::regclass and d.objid = c.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
      and c.oid <> all (coalesce(x.extconfig, '{}')))
  then pg_relation_size(c.oid) > 0 end
union all
select 'large objects', 'large objects',
       bool_and(
         me.rolsuper or current_setting('lo_compat_privileges')::boolean or pg_has_role(o.lomowner, 'usage')
         or exists (
           select from aclexplode(o.lomacl) a
           where a.privilege_type = 'SELECT'
             and case a.grantee when 0 then true else pg_has_role(a.grantee, 'usage') end)),
       false, false, count(*),
       (select relpages::bigint * current_setting('block_size')::bigint
        from pg_class where oid = 'pg_largeobject'::regclass),
       false
from pg_largeobject_metadata o
join pg_roles me on me.rolname = current_user
having count(*) > 0
union all
select quote_ident(s.subname), 'subscription', me.rolsuper, false, false, 0, 0, false
from pg_subscription s
join pg_roles me on me.rolname = current_user
where s.subdbid = (select oid from pg_database where datname = current_database())
union all
select quote_ident(m.usename) || ' at ' || quote_ident(m.srvname), 'user mapping',
       me.rolsuper or m.umoptions is not null, false, false, 0, 0, false
from pg_user_mappings m
join pg_roles me on me.rolname = current_user
order by table_name
