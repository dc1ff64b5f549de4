-- title: How many rows of a table fall between two times, and a checksum over their keys
-- kind: read
-- returns: rows int, checksum text, oldest text, newest text
-- params: table name, key names, time name, since time, cutoff time
-- needs: select on the table, and to be let past its row level security
-- cost: all rows between the times; the whole table where no index begins with the time, or where the
--   planner expects that most of its rows fall between them
-- lock: access share
-- since: 14
-- rows: all
-- within: 300
-- pooler: yes
-- The checksum is a sum, so that those of two tables can be added. It is over the text of the whole key: a
-- record's own hash is a sum of those of its columns, and rows which exchange one would keep it. Times are
-- text with microseconds: they are signed, and compared exactly.
select count(*) as rows,
       coalesce(sum(hashtextextended(row({key})::text, 0)), 0)::text as checksum,
       to_char(min(t.{time})::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as oldest,
       to_char(max(t.{time})::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as newest
from {table} t
where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
