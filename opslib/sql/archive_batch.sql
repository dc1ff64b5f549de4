-- title: Move one batch of old rows from one table into another, by the names of their columns
-- kind: write
-- returns: moved int
-- params: table name, archive name, time name, columns names, since time, cutoff time, rows int
-- needs: delete on the one table and insert on the other, and to be let past their row level security
-- cost: as many rows as asked for, by an index that begins with the time
-- lock: row exclusive; the rows themselves while the statement runs
-- since: 14
-- pooler: no
-- One statement, so that no row is ever in neither table or in both. Rows that somebody works at are left
-- for a later batch. No row is returned where nothing was found.
-- What went is counted, and not what came: to return each row once more would cost a fifth.
-- By the places of the rows: a join by key would read the whole table, batch after batch.
with batch as materialized (
  select t.ctid as place from {table} t
  where t.{time} >= %(since)s::timestamptz and t.{time} < %(cutoff)s::timestamptz
  order by t.{time} limit %(rows)s for update skip locked
),
moved as (
  delete from {table} t where t.ctid = any (array(select b.place from batch b)) returning t.*
),
kept as (
  insert into {archive} ({columns}) overriding system value select {columns} from moved
)
select count(*) as moved from moved having count(*) > 0
