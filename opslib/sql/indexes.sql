-- title: Indexes with what they are for, how often they were used, and whether names alone can say them
-- kind: read
-- returns: schema text, table_name text, index_name text, build text, method text, columns list,
--   definition text, sayable bool, is_valid bool, is_ready bool, is_unique bool, needed_for text,
--   supports_foreign_key bool, scans int, last_scan time, writes int, bytes int, table_rows int,
--   counted_since time, in_progress bool, leftover text, locked bool, owner text, mine bool,
--   maintained bool
-- params: schema text, name text
-- needs: pg_monitor
-- cost: a few rows of the catalog an index
-- lock: none; an index whose table is locked is listed without its definition
-- since: 14
-- pooler: yes
-- All of them where no name is given. `sayable`: what the server says of it is no more than method, table
-- and plain columns, so that the same index can be made again from names. `build` changes when it is
-- rebuilt. Of TOAST only what a rebuild has left is listed. `counted_since`: the server's own
-- scans only; each replica counts its own.
with held as materialized (
  select relation from pg_locks where relation is not null and mode = 'AccessExclusiveLock'
    and database = (select oid from pg_database where datname = current_database())
),
counted as (
  -- After a crash all counters begin anew: those of a database say so nowhere, the background writer's do.
  select greatest(coalesce(d.stats_reset, pg_postmaster_start_time()),
                  (select b.stats_reset from pg_stat_bgwriter b)) as since
  from pg_stat_database d where d.datname = current_database()
),
found as (
  select i.*, n.nspname, t.relname as table_name, c.relname as index_name, c.relpages, c.relowner,
         c.relnamespace, c.relkind,
         t.reltuples, am.amname,
         c.oid in (select relation from held) or t.oid in (select relation from held) as locked
  from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_am am on am.oid = c.relam
  where c.relkind in ('i', 'I')
    and (not starts_with(n.nspname, 'pg_') and n.nspname <> 'information_schema'
         or n.nspname = 'pg_toast' and not (i.indisvalid and i.indisready))
    and (%(name)s = '' or (n.nspname = %(schema)s and c.relname = %(name)s))
)
select f.nspname as schema,
       f.table_name,
       f.index_name,
       f.indexrelid::text as build,
       f.amname as method,
       k.columns,
       d.definition,
       coalesce(d.definition = 'CREATE INDEX ' || quote_ident(f.index_name) || ' ON '
                || quote_ident(f.nspname) || '.' || quote_ident(f.table_name)
                || ' USING ' || f.amname || ' (' || k.written || ')', false) as sayable,
       f.indisvalid as is_valid,
       f.indisready as is_ready,
       f.indisunique as is_unique,
       -- What would break without it, whether or not any query uses it.
       case when f.indisprimary then 'primary key'
            when f.indisexclusion then 'exclusion constraint'
            when exists (select from pg_constraint x where x.conindid = f.indexrelid) then 'constraint'
            when f.indisreplident then 'replica identity'
            when f.indisclustered then 'cluster order'
            when f.relkind = 'I' then 'partitioned index'
            when exists (select from pg_inherits h where h.inhrelid = f.indexrelid) then 'partitioned index'
            when exists (select from pg_depend e where e.classid = 'pg_class'::regclass
                         and e.refclassid = 'pg_extension'::regclass
                         and e.objid in (f.indexrelid, f.indrelid)) then 'extension'
            else '' end as needed_for,
       -- One that serves a key by half does so where no other serves all of it.
       exists (select from pg_constraint x
               where x.contype = 'f' and x.conrelid = f.indrelid
                 and (f.indkey[0] = any(x.conkey)
                      or f.amname not in ('btree', 'hash') and f.indkey::int2[] && x.conkey)
                 and ((f.indkey::int2[])[0:cardinality(x.conkey) - 1] @> x.conkey
                      or not exists (
                        select from pg_index o
                        where o.indrelid = f.indrelid and o.indexrelid <> f.indexrelid
                          and o.indisvalid and o.indpred is null
                          and (o.indkey::int2[])[0:least(cardinality(x.conkey), o.indnkeyatts) - 1]
                            @> x.conkey
                      ))) as supports_foreign_key,
       coalesce(s.idx_scan, 0) as scans,
       s.last_idx_scan as last_scan, -- pg>=16
       null::timestamptz as last_scan, -- pg<16
       coalesce(u.n_tup_ins + u.n_tup_upd + u.n_tup_del, 0) as writes,
       case when f.locked then f.relpages * current_setting('block_size')::bigint
            else pg_relation_size(f.indexrelid) end as bytes,
       greatest(f.reltuples, 0)::bigint as table_rows,
       counted.since as counted_since,
       exists (select from pg_stat_progress_create_index p
               where p.index_relid = f.indexrelid or p.relid = f.indrelid) as in_progress,
       case when f.indisvalid and f.indisready then ''
            when f.index_name ~ '_ccold[0-9]*$' then 'old copy of a rebuilt index'
            when f.index_name ~ '_ccnew[0-9]*$' then 'failed copy of a rebuild'
            when f.indisready or not f.indislive then 'build or drop cut off'
            else 'failed build' end as leftover,
       f.locked,
       pg_get_userbyid(f.relowner)::text as owner,
       pg_has_role(f.relowner, 'usage') and has_schema_privilege(f.relnamespace, 'usage') as mine,
       has_table_privilege(f.indrelid, 'maintain') as maintained -- pg>=17
       pg_has_role(f.relowner, 'usage') as maintained -- pg<17
from found f
  cross join counted
  left join pg_stat_all_indexes s on s.indexrelid = f.indexrelid
  left join pg_stat_all_tables u on u.relid = f.indrelid
  cross join lateral (
    select array_agg(a.attname::text order by key.place) as columns,
           string_agg(quote_ident(a.attname), ', ' order by key.place) as written
    from unnest(f.indkey::int2[]) with ordinality as key (number, place)
      left join pg_attribute a on a.attrelid = f.indrelid and a.attnum = key.number and key.number > 0
  ) k
  cross join lateral (select case when not f.locked then pg_get_indexdef(f.indexrelid) end) d (definition)
order by f.nspname, f.table_name, f.index_name
