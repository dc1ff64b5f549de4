-- title: How many rows of one table whoever asks can see, in its first pages
-- kind: read
-- returns: rows int
-- params: table name, pages int
-- needs: select on the table
-- cost: reads the first pages of a user's table, as many as are asked for
-- lock: access share
-- since: 14
-- pooler: yes
select count(*) as rows
from {table}
where ctid < concat('(', %(pages)s::int, ',0)')::tid
