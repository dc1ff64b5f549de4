-- title: Bring a materialized view up to date beside its readers
-- kind: command
-- returns: nothing
-- params: view name
-- needs: to own the view (or the privilege MAINTAIN, from version 17 on)
-- cost: runs the view's query and writes the rows that differ
-- lock: exclusive: reads go on; another refresh waits
-- since: 14
-- pooler: no
refresh materialized view concurrently {view}
