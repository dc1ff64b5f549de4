-- title: Foreign keys that no index of their table serves
-- kind: read
-- returns: schema text, table_name text, constraint_name text, columns list, parent text, on_delete text,
--   table_rows int, served_by text, read_rows int, bytes int, index_name text, name_taken bool,
--   definition text
-- params: nothing
-- needs: pg_read_all_data and BYPASSRLS; without them how far half an index helps is not known
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- Each row that is deleted from the parent, or gets another key, reads `read_rows`: the whole table, or what
-- is behind one value of the index `served_by`, which begins with one column of the key; null where nobody
-- knows. A partitioned table is listed once, with what its partitions without an index hold.
-- An index serves by what it can search: by the key's own comparison, in the column's collation.
-- `definition`: what the server will say of the index that is missing.
with recursive held as materialized (
  select relation from pg_locks where relation is not null and mode = 'AccessExclusiveLock'
    and database = (select oid from pg_database where datname = current_database())
),
family as (
  select oid as root, oid as member from pg_constraint
  where contype = 'f' and conparentid = 0
    and conenforced -- pg>=18
  union all
  select f.root, x.oid from pg_constraint x join family f on x.conparentid = f.member where x.contype = 'f'
),
leaves as (
  -- Rows that nobody has analyzed yet are at least counted, but for those of before an upgrade.
  select distinct f.root, x.conrelid, x.conkey, x.conpfeqop, n.nspname, c.relname, size.bytes, size.counted,
         case when size.counted then greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)
              else size.bytes / 28 end::numeric as held
  from family f
    join pg_constraint x on x.oid = f.member
    join pg_class c on c.oid = x.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select case when c.reltuples >= 0 or c.oid in (select relation from held)
                  then c.relpages * current_setting('block_size')::bigint
                  else pg_relation_size(c.oid) end as bytes,
             c.reltuples >= 0 or pg_stat_get_live_tuples(c.oid) > 0 as counted
    ) size
  where c.relkind = 'r' and c.relpersistence <> 't'
),
keys as (
  -- How the server compares each column of a key, where that is the column itself and nothing made of it.
  select l.root, l.conrelid, key.number, o.oid as sign, o.oprcom as turned, a.attcollation
  from leaves l
    cross join lateral unnest(l.conkey, l.conpfeqop) as key (number, sign)
    join pg_operator o on o.oid = key.sign
    join pg_attribute a on a.attrelid = l.conrelid and a.attnum = key.number
    join pg_type t on t.oid = a.atttypid
  where not exists (select from pg_cast x where x.castsource = coalesce(nullif(t.typbasetype, 0), t.oid)
                    and x.casttarget = o.oprright and x.castmethod <> 'b')
),
searched as (
  -- The columns of an index in which it can find a key, and where they stand in it.
  select l.root, l.conrelid, l.conkey, i.indexrelid, am.amname in ('btree', 'hash') as in_order,
         part.number, part.place
  from leaves l
    join pg_index i on i.indrelid = l.conrelid
    join pg_class k on k.oid = i.indexrelid
    join pg_am am on am.oid = k.relam
    cross join lateral unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[])
      with ordinality as part (number, class, sorted_by, place)
    join keys on keys.root = l.root and keys.conrelid = l.conrelid and keys.number = part.number
    join pg_opclass c on c.oid = part.class
  where i.indisvalid and am.amname <> 'brin' and part.sorted_by in (0, keys.attcollation)
    and exists (select from pg_amop s where s.amopfamily = c.opcfamily
                and s.amopopr in (keys.sign, keys.turned))
    -- No key is looked for that is null, so that an index over all others serves as well.
    and (i.indpred is null
         or regexp_replace(
              i.indpred::text, '\{NULLTEST :arg \{VAR :varno 1 :varattno (' || array_to_string(l.conkey, '|')
              || ') [^{}]*\} :nulltesttype 1 [^{}]*\}', '', 'g')
            ~ '^(\{BOOLEXPR :boolop and :args \( *\) :location -?\d+\})?$')
),
serving as (
  select s.root, s.conrelid, k.relname as index_name, (array_agg(s.number order by s.place))[1] as first,
         array_agg(s.number) filter (where not s.in_order or s.place <= cardinality(s.conkey))
           @> s.conkey as whole
  from searched s join pg_class k on k.oid = s.indexrelid
  group by s.root, s.conrelid, s.conkey, s.indexrelid, s.in_order, k.relname
  having not s.in_order or min(s.place) = 1
),
lacking as (
  select l.*, half.index_name,
         case when not l.counted and l.bytes > 0 then null
              when half.index_name is null then l.held
              when half.distinct_values <> 0 then l.held / half.distinct_values end as read_rows
  from leaves l
    left join lateral (
      select s.index_name,
             case when p.n_distinct < 0 then -p.n_distinct * l.held else p.n_distinct end::numeric
               as distinct_values
      from serving s
        join pg_attribute a on a.attrelid = l.conrelid and a.attnum = s.first
        left join pg_stats p on p.schemaname = l.nspname and p.tablename = l.relname
                            and p.attname = a.attname and not p.inherited
      where s.root = l.root and s.conrelid = l.conrelid
      order by distinct_values desc nulls last, s.index_name
      limit 1
    ) half on true
  where not exists (select from serving s where s.root = l.root and s.conrelid = l.conrelid and s.whole)
),
missing as (
  select x.*, n.nspname, c.relname, c.relkind, l.held, l.read_rows, l.served_by, l.bytes,
         (select array_agg(a.attname::text order by key.place)
          from unnest(x.conkey) with ordinality as key (number, place)
            join pg_attribute a on a.attrelid = x.conrelid and a.attnum = key.number) as columns
  from (select root, sum(held) as held, min(index_name::text) as served_by, sum(bytes) as bytes,
               case when bool_and(read_rows is not null) then sum(read_rows) end as read_rows
        from lacking group by root) l
    join pg_constraint x on x.oid = l.root
    join pg_class c on c.oid = x.conrelid
    join pg_namespace n on n.oid = c.relnamespace
),
named as (
  select m.*, substr(m.relname || '_' || array_to_string(m.columns, '_'), 1, 55) || '_idx' as index_name,
         (select string_agg(quote_ident(part), ', ' order by place)
          from unnest(m.columns) with ordinality as key (part, place)) as written
  from missing m
)
select nspname as schema,
       relname as table_name,
       conname as constraint_name,
       columns,
       confrelid::regclass::text as parent,
       case confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
         when 'r' then 'restrict' else 'no action' end as on_delete,
       held::bigint as table_rows,
       coalesce(served_by, '') as served_by,
       read_rows::bigint as read_rows,
       bytes::bigint as bytes,
       index_name,
       relkind = 'p' or octet_length(index_name) > 63
         or exists (select from pg_class k
                    where k.relnamespace = connamespace and k.relname = named.index_name) as name_taken,
       'CREATE INDEX ' || quote_ident(index_name) || ' ON ' || quote_ident(nspname) || '.'
         || quote_ident(relname) || ' USING btree (' || written || ')' as definition
from named
order by bytes desc, 1, 2, 3
