-- title: Indexes that another one makes superfluous: the same columns, or the first of its columns
-- kind: read
-- returns: schema text, table_name text, index_name text, covered_by text, same bool, bytes int
-- params: nothing
-- needs: nothing
-- cost: catalog only, each pair of indexes of a table
-- lock: none
-- since: 14
-- pooler: yes
-- Never one that enforces something: unique ones, those of constraints, replica identities. Of two that
-- are the same, the younger one. Method, operator classes, collation, order, predicate, expressions and
-- options must agree, but for options that only say how it is filled. Before 17 the catalog also keeps where
-- in the text of its statement each part of an expression stood, which is all one.
with found as (
  select i.indrelid, i.indexrelid, i.indisunique, c.relam, n.nspname, c.relname, c.relpages,
         am.amname = 'btree' as is_btree, i.indnkeyatts::int as keys,
         string_to_array(i.indkey::text, ' ') as columns,
         string_to_array(i.indclass::text, ' ') as classes,
         string_to_array(i.indoption::text, ' ') as orders,
         string_to_array(i.indcollation::text, ' ') as collations,
         coalesce(regexp_replace(i.indexprs::text, ' :location -?\d+', '', 'g'), '') as expressions,
         coalesce(regexp_replace(i.indpred::text, ' :location -?\d+', '', 'g'), '') as predicate,
         array(select part from unnest(c.reloptions) as option (part)
               where split_part(part, '=', 1) not in ('fillfactor', 'deduplicate_items', 'fastupdate')
               order by part) as options,
         not (i.indisunique or i.indisprimary or i.indisexclusion or i.indisreplident or i.indisclustered)
         and not exists (select from pg_constraint x where x.conindid = i.indexrelid)
         and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid) as spare
  from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am am on am.oid = c.relam
    join pg_namespace n on n.oid = c.relnamespace
  where i.indisvalid and c.relkind = 'i'
    and not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
),
pairs as (
  select a.indrelid, a.nspname, a.relname, a.relpages, b.relname as covered_by,
         a.columns = b.columns as same, b.indisunique, b.keys,
         row_number() over (partition by a.indexrelid
                            order by (a.columns = b.columns) desc, b.keys, b.relname) as place
  from found a join found b on a.indrelid = b.indrelid and a.indexrelid <> b.indexrelid
    and a.relam = b.relam and a.predicate = b.predicate and a.expressions = b.expressions
    and a.options = b.options
  where a.spare
    and ((a.columns = b.columns and a.classes = b.classes and a.orders = b.orders
          and a.collations = b.collations and (not b.spare or a.indexrelid > b.indexrelid))
         or (a.is_btree and a.expressions = '' and a.keys = cardinality(a.columns) and a.keys < b.keys
             and b.columns[1:a.keys] = a.columns and b.classes[1:a.keys] = a.classes
             and b.orders[1:a.keys] = a.orders and b.collations[1:a.keys] = a.collations))
)
select p.nspname as schema, t.relname as table_name, p.relname as index_name, p.covered_by,
       p.same, p.relpages * current_setting('block_size')::bigint as bytes
from pairs p join pg_class t on t.oid = p.indrelid
where p.place = 1
order by bytes desc, 1, 2, 3
