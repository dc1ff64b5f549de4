-- title: Build an index anew beside the old one, then change over
-- kind: command
-- returns: nothing
-- params: index name
-- needs: to own the table (or the privilege MAINTAIN, from version 17 on)
-- cost: reads the table twice, needs the index's size again on the disk
-- lock: share update exclusive: reads and writes go on; waits for all older transactions
-- since: 14
-- pooler: no
reindex index concurrently {index}
