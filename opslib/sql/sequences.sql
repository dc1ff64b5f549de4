-- title: How much of each sequence is used up, of what its column can hold
-- kind: read
-- returns: schema text, sequence text, column_name text, last_value int, used_pct float, cycles bool,
--   readable bool
-- params: skip_schemas list
-- needs: select on the sequences
-- cost: one row a sequence
-- lock: row exclusive on each sequence for a moment, as nextval takes it; none on tables
-- since: 14
-- pooler: yes
-- A sequence that was never used has no last value. The column may hold less than the sequence gives: the
-- one that owns it, or takes its numbers by default. A domain is written out as its type is. Of several
-- columns the narrowest counts.
with owned as (
  select s.seqrelid, c.relname, n.nspname, s.seqincrement, s.seqcycle, s.seqmin,
         least(s.seqmax, f.most) as largest, f.column_name,
         has_sequence_privilege(s.seqrelid, 'select, usage') as readable
  from pg_sequence s
  join pg_class c on c.oid = s.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
  left join lateral (
    select concat_ws('.', t.relname, a.attname) as column_name,
           case y.typoutput when 'int2out'::regproc then 32767 when 'int4out'::regproc then 2147483647
           end as most
    from pg_depend d
    left join pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
    join pg_class t on t.oid = coalesce(f.adrelid, d.refobjid)
    join pg_attribute a on a.attrelid = t.oid and a.attnum = coalesce(f.adnum, d.refobjsubid)
    join pg_type y on y.oid = a.atttypid
    where d.refclassid = 'pg_class'::regclass
      and (d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.refobjsubid > 0
           or f.oid is not null and d.refobjid = s.seqrelid)
    order by most, t.relispartition, 1
    limit 1
  ) f on true
  where n.nspname <> all(%(skip_schemas)s::text[])
),
used as (
  select owned.*, v.last_value
  from owned
  left join pg_sequences v on owned.readable
    and v.schemaname = owned.nspname and v.sequencename = owned.relname
)
select nspname::text as schema, relname::text as sequence, column_name, last_value,
       case when last_value is null then 0
            when seqincrement > 0 then round(100.0 * last_value / largest, 2)
            else round(100.0 * last_value / seqmin, 2) end::float8 as used_pct,
       seqcycle as cycles, readable
from used
order by used_pct desc, 1, 2
