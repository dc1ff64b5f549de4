-- title: How many rows of a table have no time from which their age could count
-- kind: read
-- returns: rows int
-- params: table name, time name, since time
-- needs: select on the table, and to be let past its row level security
-- cost: those rows, by an index that begins with the time; the whole table where there is none
-- lock: access share
-- since: 14
-- rows: all
-- within: 300
-- pooler: yes
-- None, or one before or after all times: no rule about an age ever finds them.
select count(*) as rows
from {table} t
where t.{time} is null or t.{time} < %(since)s::timestamptz or t.{time} = 'infinity'
