-- title: The columns of a table beside those of its archive, and what differs
-- kind: read
-- returns: column_name text, source_type text, archive_type text, computed bool, problem text
-- params: schema text, name text, archive_schema text, archive_name text
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- Another order is no problem: columns are named one by one. A column that the archive has besides is
-- none either, where it may stay empty or has a default.
with columns as (
  select a.attrelid, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
         a.attnotnull, a.atthasdef or a.attidentity <> '' as filled, a.attgenerated <> '' as computed,
         n.nspname as schema, c.relname as relation
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  where a.attnum > 0 and not a.attisdropped
),
source as (select * from columns where schema = %(schema)s and relation = %(name)s),
archive as (select * from columns where schema = %(archive_schema)s and relation = %(archive_name)s)
select coalesce(s.name, a.name) as column_name, s.type as source_type, a.type as archive_type,
       coalesce(s.computed, false) as computed,
       case
         when s.computed and a.name is not null and not a.computed then 'computed in the table only'
         when s.computed then ''
         when a.name is null then 'missing in the archive'
         when s.name is null and a.attnotnull and not a.filled
           then 'only in the archive, and may not be empty'
         when s.name is null then ''
         when a.computed then 'computed in the archive'
         when s.type <> a.type then 'of another type'
         when a.attnotnull and not s.attnotnull then 'may not be empty in the archive'
         else ''
       end as problem
from source s
full join archive a on a.name = s.name
order by s.name is null, coalesce(s.name, a.name)
