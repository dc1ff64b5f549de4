-- title: Whether a table still has a row between two times
-- kind: read
-- returns: any bool
-- params: table name, time name, since time, cutoff time
-- needs: select on the table, and to be let past its row level security
-- cost: one row by an index that begins with the time, after those that were deleted before it
-- lock: access share
-- since: 14
-- rows: all
-- pooler: yes
-- In order of the time, or the planner, which expects to find one soon, would read the table instead.
select coalesce((
  select true from {table} t
  where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
  order by t.{time} limit 1
), false) as any
