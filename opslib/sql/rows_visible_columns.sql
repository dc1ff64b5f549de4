-- title: How many rows of one table whoever asks can see, when only some of its columns are open to him
-- kind: read
-- returns: rows int
-- params: table name, pages int
-- needs: select on a column of the table
-- cost: reads a sample of a user's table, of as many pages as are asked for
-- lock: access share
-- since: 14
-- pooler: yes
-- Where a row lies may be asked only by whoever may read the whole table: a sample stands in for its first
-- pages. A table of no more pages is read whole, and one with partitions as well.
select count(*) as rows
from {table} tablesample system (
  least(100, 100.0 * %(pages)s::int * current_setting('block_size')::int
    / greatest(pg_relation_size(to_regclass(%(table)s)), 1)))
