-- title: How many rows a table or a view has, counted
-- kind: read
-- returns: counted int
-- params: table name
-- needs: select on it, and to be let past its row level security
-- cost: reads it whole
-- lock: access share
-- since: 14
-- pooler: yes
select count(*) as counted from {table}
