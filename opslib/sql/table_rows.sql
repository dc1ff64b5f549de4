-- title: How many rows one table has, counted
-- kind: read
-- returns: rows int
-- params: table name
-- needs: select on the table, and to be let past its row level security
-- cost: reads the whole table, or its smallest index
-- lock: access share
-- since: 14
-- pooler: yes
select count(*) as rows from {table}
