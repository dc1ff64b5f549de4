-- title: Delete one batch of old rows
-- kind: write
-- returns: deleted int
-- params: table name, time name, since time, cutoff time, rows int
-- needs: delete on the table, and to be let past its row level security
-- cost: as many rows as asked for, by an index that begins with the time
-- lock: row exclusive; the rows themselves while the statement runs
-- since: 14
-- pooler: no
-- Rows that somebody works at are left for a later batch. No row is returned where nothing was found.
-- By the places of the rows: a join by key would read the whole table, batch after batch.
with batch as materialized (
  select t.ctid as place from {table} t
  where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
  order by t.{time} limit %(rows)s for update skip locked
),
gone as (
  delete from {table} t where t.ctid = any (array(select b.place from batch b)) returning 1
)
select count(*) as deleted from gone having count(*) > 0
