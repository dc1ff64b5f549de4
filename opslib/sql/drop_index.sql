-- title: Remove an index
-- kind: command
-- returns: nothing
-- params: index name
-- needs: to own the table
-- cost: nothing
-- lock: share update exclusive: reads and writes go on; waits for all older transactions
-- since: 14
-- pooler: no
drop index concurrently {index}
