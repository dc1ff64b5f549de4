-- title: What has to be known of a table before old rows are taken out of it
-- kind: read
-- returns: key list, time_type text, time_indexed bool, looked_up bool, readable bool, hidden bool,
--   logged bool, rows_estimate int, row_bytes int, columns_ever int, triggers int
-- params: schema text, name text, time text
-- needs: nothing
-- cost: catalog only
-- lock: none
-- since: 14
-- pooler: yes
-- The key is the primary one, without what its index merely includes. Row level security may hide rows
-- from our role. The bytes of a row are those of the pages at the last VACUUM or ANALYZE, with what is
-- stored out of line. Columns that were dropped count among those that it ever had; foreign keys, of both
-- ends, among the triggers. By its time rows are
-- read in order, which no index but a btree gives; `looked_up` is for a column of which single values are
-- looked for, for which a hash does too. A table that is not logged is empty after a crash.
with indexed as (
  select i.indrelid, i.indkey[0] as number, m.amname as method
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  join pg_am m on m.oid = x.relam
  where i.indisvalid and i.indpred is null
)
select (select array_agg(a.attname::text order by k.place)
        from pg_index i
        cross join unnest(i.indkey) with ordinality k (number, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
        where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts) as key,
       format_type(t.atttypid, null) as time_type,
       exists (select from indexed i
               where i.indrelid = c.oid and i.number = t.attnum and i.method = 'btree') as time_indexed,
       exists (select from indexed i where i.indrelid = c.oid and i.number = t.attnum
                 and i.method in ('btree', 'hash')) as looked_up,
       has_table_privilege(c.oid, 'select') as readable,
       row_security_active(c.oid) as hidden,
       c.relpersistence = 'p' as logged,
       greatest(c.reltuples, 0)::bigint as rows_estimate,
       case when c.reltuples > 0 then
         ceil((c.relpages + coalesce(o.relpages, 0)) * current_setting('block_size')::float8 / c.reltuples)
       end::bigint as row_bytes,
       c.relnatts as columns_ever,
       (select count(*) from pg_trigger g where g.tgrelid = c.oid and g.tgenabled <> 'D') as triggers
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute t on t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped
  and t.attname = %(time)s
left join pg_class o on o.oid = c.reltoastrelid
where n.nspname = %(schema)s and c.relname = %(name)s
