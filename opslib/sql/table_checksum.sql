-- title: Number of rows of one table, and a checksum over all of them in any order
-- kind: read
-- returns: rows int, checksum text
-- params: table name
-- needs: pg_read_all_data
-- cost: reads the whole table
-- lock: access share
-- since: 14
-- pooler: yes
-- Only for a session that has pinned how values are written (opslib.pg.whole does), and that fails where
-- row-level security would hide rows. With `.*` it is the row, also where a column is called like it.
select count(*) as rows,
       coalesce(sum(hashtextextended((opslib_row.*)::text, 0)), 0)::text as checksum
from only {table} as opslib_row
