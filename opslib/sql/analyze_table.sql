-- title: Renew the statistics that the planner goes by
-- kind: command
-- returns: nothing
-- params: table name
-- needs: to own the table (or the privilege MAINTAIN, from version 17 on)
-- cost: reads a sample of the table
-- lock: share update exclusive: reads and writes go on; a table that is locked is skipped
-- since: 14
-- pooler: no
analyze (skip_locked) {table}
