-- title: Number of rows of one table, and a checksum over all of them, whatever order its columns have
-- kind: read
-- returns: rows int, checksum text
-- params: table name, columns names
-- needs: pg_read_all_data
-- cost: reads the whole table
-- lock: access share
-- since: 14
-- pooler: yes
-- As `table_checksum`, for a table whose columns a restore puts in another order. The text says so, as it is
-- not to be held against the other.
select count(*) as rows,
       'by name ' || coalesce(sum(hashtextextended(row({columns})::text, 0)), 0) as checksum
from only {table}
