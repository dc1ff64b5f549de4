-- title: Build an index over plain columns
-- kind: command
-- returns: nothing
-- params: index name, table name, method name, columns names
-- needs: to own the table
-- cost: reads the table twice, needs the index's size on the disk
-- lock: share update exclusive: reads and writes go on; waits for all older transactions
-- since: 14
-- pooler: no
create index concurrently {index} on {table} using {method} ({columns})
