-- title: What happens besides when rows of a table are deleted or inserted
-- kind: read
-- returns: kind text, schema text, name text, column_name text, key text, effect text, indexed bool
-- params: schema text, name text
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- kind `child`: a foreign key of another table leads here; effect is what it does to the rows there. One
-- that is not enforced does nothing.
-- A cascade by other columns than the key cannot be followed by the key: it has an effect of its own. So
-- has one that compares otherwise than our statements, whose `=` is that of pg_catalog: of two citext it is
-- that of text, which minds the case. Which it is for two unlike types of strings is not always to be told.
-- An index is one by which rows can be looked up one by one.
-- kind `emptied`: runs by itself when the key of a child is set, a rule too; `column_name` is its name.
-- kind `trigger`: runs by itself, a rule too; `name` is the trigger's, and effect when it runs.
-- kind `heir`: a table that inherits from this one; a statement on this one means its rows too.
with keys as (
  select f.conrelid, f.conkey, f.confkey, f.confrelid, f.conpfeqop[1] as compared, f.confdeltype as acts,
         cn.nspname as schema, cc.relname as name
  from pg_constraint f
  join pg_class c on c.oid = f.confrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class cc on cc.oid = f.conrelid
  join pg_namespace cn on cn.oid = cc.relnamespace
  where f.contype = 'f' and n.nspname = %(schema)s and c.relname = %(name)s
    and f.conenforced -- pg>=18
),
typed as (
  select a.attrelid, a.attnum, a.attname, a.attcollation, t.typcategory in ('S', 'V') as string,
         coalesce(nullif(t.typbasetype, 0), t.oid)::regtype as type
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
)
select 'child' as kind, f.schema, f.name, a.attname as column_name,
       (select min(k.attname::text)
        from pg_index i join pg_attribute k on k.attrelid = i.indrelid and k.attnum = any(i.indkey)
        where i.indrelid = f.conrelid and i.indisprimary
        having count(*) = 1) as key,
       case when f.acts = 'c' and not (cardinality(f.confkey) = 1 and exists (
              select from pg_index p where p.indrelid = f.confrelid and p.indisprimary and p.indnkeyatts = 1
                and p.indkey[0] = f.confkey[1])) then 'cascade by other columns'
         when f.acts = 'c' and (o.oprnamespace <> 'pg_catalog'::regnamespace
              or a.attcollation <> r.attcollation
              or a.type <> r.type and (a.string or r.string)
                and not (a.type in ('text'::regtype, 'varchar'::regtype)
                         and r.type in ('text'::regtype, 'varchar'::regtype)))
           then 'cascade by another comparison'
         else case f.acts when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
           else 'refuse' end
       end as effect,
       exists (select from pg_index i
               join pg_class x on x.oid = i.indexrelid
               join pg_am m on m.oid = x.relam
               where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
                 and i.indkey[0] = f.conkey[1] and m.amname in ('btree', 'hash')) as indexed
from keys f
join typed a on a.attrelid = f.conrelid and a.attnum = f.conkey[1]
join typed r on r.attrelid = f.confrelid and r.attnum = f.confkey[1]
join pg_operator o on o.oid = f.compared
union all
select 'emptied', f.schema, f.name, g.tgname, null, 'on update', false
from keys f
join pg_trigger g on g.tgrelid = f.conrelid
where f.acts in ('n', 'd') and not g.tgisinternal and g.tgtype & 16 > 0 and g.tgenabled <> 'D'
  and (cardinality(g.tgattr::int2[]) = 0 or g.tgattr::int2[] && f.conkey)
union all
select 'emptied', f.schema, f.name, r.rulename, null, 'on update, as a rule', false
from keys f
join pg_rewrite r on r.ev_class = f.conrelid
where f.acts in ('n', 'd') and r.ev_type = '2' and r.ev_enabled <> 'D'
union all
select 'trigger', n.nspname, g.tgname, null, null,
       concat_ws(' and ', case when g.tgtype & 4 > 0 then 'on insert' end,
                 case when g.tgtype & 8 > 0 then 'on delete' end), false
from pg_trigger g
join pg_class c on c.oid = g.tgrelid
join pg_namespace n on n.oid = c.relnamespace
where not g.tgisinternal and g.tgtype & 12 > 0 and g.tgenabled <> 'D'
  and n.nspname = %(schema)s and c.relname = %(name)s
union all
select 'trigger', n.nspname, r.rulename, null, null,
       case r.ev_type when '3' then 'on insert, as a rule' else 'on delete, as a rule' end, false
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where r.ev_type in ('3', '4') and r.ev_enabled <> 'D' and n.nspname = %(schema)s and c.relname = %(name)s
union all
select 'heir', hn.nspname, h.relname, null, null, 'inherits', false
from pg_inherits i
join pg_class c on c.oid = i.inhparent
join pg_namespace n on n.oid = c.relnamespace
join pg_class h on h.oid = i.inhrelid
join pg_namespace hn on hn.oid = h.relnamespace
where n.nspname = %(schema)s and c.relname = %(name)s
order by 1, 2, 3, 4
