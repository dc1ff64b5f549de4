-- title: How many old rows of a table are in its archive already
-- kind: read
-- returns: rows int
-- params: table name, archive name, key names, time name, cutoff time
-- needs: select on both tables, and to be let past their row level security
-- cost: all old rows, each looked up in the archive by its key
-- lock: access share
-- since: 14
-- rows: all
-- within: 300
-- pooler: yes
select count(*) as rows
from {table} t
join {archive} a using ({key})
where t.{time} < %(cutoff)s::timestamptz
