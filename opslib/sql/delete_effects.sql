-- title: What happens besides when rows of a table are deleted or inserted
-- kind: read
-- returns: kind text, schema text, name text, column_name text, key text, effect text, indexed bool
-- params: schema text, name text
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- kind `child`: a foreign key of another table leads here; effect is what it does to the rows there.
-- A cascade by other columns than the key cannot be followed by the key: it has an effect of its own.
-- kind `trigger`: runs by itself, a rule too; `name` is the trigger's, and effect when it runs.
-- kind `heir`: a table that inherits from this one; a statement on this one means its rows too.
select 'child' as kind, cn.nspname as schema, cc.relname as name, a.attname as column_name,
       (select min(k.attname::text)
        from pg_index i join pg_attribute k on k.attrelid = i.indrelid and k.attnum = any(i.indkey)
        where i.indrelid = cc.oid and i.indisprimary
        having count(*) = 1) as key,
       case when f.confdeltype = 'c' and not (cardinality(f.confkey) = 1 and exists (
              select from pg_index p where p.indrelid = c.oid and p.indisprimary and p.indnkeyatts = 1
                and p.indkey[0] = f.confkey[1])) then 'cascade by other columns'
         else case f.confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
           else 'refuse' end
       end as effect,
       exists (select from pg_index i where i.indrelid = cc.oid and i.indisvalid and i.indpred is null
                 and i.indkey[0] = f.conkey[1]) as indexed
from pg_constraint f
join pg_class c on c.oid = f.confrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class cc on cc.oid = f.conrelid
join pg_namespace cn on cn.oid = cc.relnamespace
join pg_attribute a on a.attrelid = cc.oid and a.attnum = f.conkey[1]
where f.contype = 'f' and n.nspname = %(schema)s and c.relname = %(name)s
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
