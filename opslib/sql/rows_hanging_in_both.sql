-- title: How many rows that hang on old rows of another table are in their archive already
-- kind: read
-- returns: rows int
-- params: table name, key name, time name, child name, child_archive name, child_key names,
--   parent_key name, since time, cutoff time
-- needs: select on the three tables, and to be let past their row level security
-- cost: all rows between the times, those that hang on them, and each of these looked up in the archive by
--   its key; whole tables where the planner expects many
-- lock: access share
-- since: 14
-- rows: all
-- within: 300
-- pooler: yes
select count(*) as rows
from {child} c
join {child_archive} a using ({child_key})
join {table} t on t.{key} = c.{parent_key}
where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
