-- title: Make the rows of a materialized view anew, all at once
-- kind: command
-- returns: nothing
-- params: view name
-- needs: to own the view (or the privilege MAINTAIN, from version 17 on)
-- cost: runs the view's query and writes all its rows
-- lock: access exclusive: nobody reads it until the end, and it waits for those who do
-- since: 14
-- pooler: no
refresh materialized view {view}
