-- title: Clear a table of dead rows and renew its statistics
-- kind: command
-- returns: nothing
-- params: table name
-- needs: to own the table (or the privilege MAINTAIN, from version 17 on)
-- cost: reads the parts of the table that have changed, and its indexes
-- lock: share update exclusive: reads and writes go on; a table that is locked is skipped
-- since: 14
-- pooler: no
vacuum (analyze, skip_locked) {table}
