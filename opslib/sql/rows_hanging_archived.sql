-- title: How many rows of an archive hang on old rows of another archive, and a checksum over their keys
-- kind: read
-- returns: rows int, checksum text
-- params: table name, key name, time name, child name, child_key names, parent_key name, since time,
--   cutoff time
-- needs: select on both tables, and to be let past their row level security
-- cost: both archives are read through; the first alone where it holds no row between the times
-- lock: access share
-- since: 14
-- rows: all
-- within: 300
-- pooler: yes
-- As `rows_hanging`, for tables that were just filled: the planner knows how large they are, but nothing
-- of the times in them. It would expect few rows and look each up by itself. An outer join leaves it the
-- choice between ways whose cost it knows by size.
select count(t.{key}) as rows,
       coalesce(sum(c.hash) filter (where t.{key} is not null), 0)::text as checksum
from (select {parent_key} as parent, hashtextextended(row({child_key})::text, 0) as hash from {child}) c
left join (
  select a.{key} from {table} a
  where a.{time} >= %(since)s::timestamptz and a.{time} < %(cutoff)s::timestamptz
) t on t.{key} = c.parent
where exists (
  select from {table} a where a.{time} >= %(since)s::timestamptz and a.{time} < %(cutoff)s::timestamptz
)
