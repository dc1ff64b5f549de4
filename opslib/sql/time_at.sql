-- title: The time of the row that stands at some place among those between two times
-- kind: read
-- returns: time text
-- params: table name, time name, since time, cutoff time, place int
-- needs: select on the table, and to be let past its row level security
-- cost: as many entries of an index that begins with the time as come before that place
-- lock: access share
-- since: 14
-- pooler: yes
-- No row is returned where there are not so many.
select to_char(t.{time}::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time
from {table} t
where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
order by t.{time} offset %(place)s limit 1
