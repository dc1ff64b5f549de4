-- title: How many rows of a table hang on old rows of another, and a checksum over their keys
-- kind: read
-- returns: rows int, checksum text
-- params: table name, key name, time name, child name, child_key names, parent_key name, since time,
--   cutoff time
-- needs: select on both tables, and to be let past their row level security
-- cost: all rows between the times, and those that hang on them; the whole of the other table where the
--   planner expects so many of them that this is the cheaper way
-- lock: access share
-- since: 14
-- rows: all
-- within: 300
-- pooler: yes
-- Whether there is any old row is asked first, as by `any_between`: where all have gone, the planner, whose
-- statistics still speak of them, would read a table through to find that nothing hangs on them.
select count(*) as rows,
       coalesce(sum(c.hash), 0)::text as checksum
from (select {parent_key} as parent, hashtextextended(row({child_key})::text, 0) as hash from {child}) c
join {table} t on t.{key} = c.parent
where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
  and (select coalesce((
    select true from {table} o
    where o.{time} >= %(since)s::timestamptz and o.{time} < %(cutoff)s::timestamptz
    order by o.{time} limit 1
  ), false))
