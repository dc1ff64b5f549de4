-- title: The migrations that a ledger holds, the last first
-- kind: read
-- returns: version text, name text, applied_at time, checksum text, content text, unfinished bool
-- params: table name
-- needs: select on the ledger, and to be let past its row level security
-- cost: reads the ledger, which has one row a migration
-- lock: access share
-- since: 14
-- pooler: yes
-- Every tool has columns of its own; as JSON a column that is not there is null, not an error. content is
-- a digest of the statements without white space and semicolons, "" where the ledger keeps none. Prisma
-- keeps a row of each try: one that was rolled back is not there, and of others the last one counts.
select distinct on (substring(v.version from '^[0-9]+')::numeric, v.version) v.version,
       coalesce(m.row ->> 'name', m.row ->> 'migration_name', '') as name,
       coalesce(m.row ->> 'finished_at', m.row ->> 'applied_at')::timestamptz as applied_at,
       coalesce(m.row ->> 'checksum', '') as checksum,
       coalesce(
         (select md5(regexp_replace(string_agg(one.statement, '' order by one.place), '[ \t\r\n;]+', '', 'g'))
          from jsonb_array_elements_text(
              case when jsonb_typeof(m.row -> 'statements') = 'array' then m.row -> 'statements'
              else '[]' end) with ordinality as one (statement, place)),
         '') as content,
       m.row ? 'finished_at' and m.row ->> 'finished_at' is null as unfinished
from (select to_jsonb(ledger) as row from {table} as ledger) m
  cross join lateral (
    select coalesce(m.row ->> 'version', m.row ->> 'migration_name', m.row ->> 'version_num',
                    m.row ->> 'name') as version) v
where m.row ->> 'rolled_back_at' is null
order by substring(v.version from '^[0-9]+')::numeric desc nulls last, v.version desc,
         (m.row ->> 'started_at')::timestamptz desc nulls last
