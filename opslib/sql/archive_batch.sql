-- title: Move one batch of old rows from one table into another, by the names of their columns
-- kind: write
-- returns: moved int, begin text
-- params: table name, archive name, time name, columns names, columns_ever int, triggers int,
--   since time, cutoff time, rows int
-- step: begin time, until time
-- needs: delete on the one table and insert on the other, and to be let past their row level security
-- cost: as many rows as asked for, by an index that begins with the time
-- lock: row exclusive; the rows themselves while the statement runs
-- since: 14
-- rows: all
-- pooler: no
-- One statement, so that no row is ever in neither table or in both. Rows that somebody works at are left
-- for a later batch. No row is returned where nothing was found.
-- While the table has a column which the plan does not know, it moves nothing: what that column holds would
-- be lost. Nor while there is another trigger, as each foreign key brings one along that may delete
-- elsewhere. Asked under the lock, of what is so now.
-- What went is counted, and not what came: to return each row once more would cost a fifth.
-- It begins where the last step came to: from the start, each would pass by all rows that went before,
-- which an old snapshot keeps from being forgotten. Within the limits, whatever a step is told. Where it
-- finds less than it may take, no other step follows there.
-- By the places of the rows: a join by key would read the whole table, batch after batch.
with grown as (
  select has_column_privilege(to_regclass(%(table)s), (%(columns_ever)s + 1)::int2, 'select') is not null
    or %(triggers)s <> (
      select count(*) from pg_trigger g
      where g.tgrelid in (to_regclass(%(table)s), to_regclass(%(archive)s)) and g.tgenabled <> 'D'
    ) as so
),
batch as materialized (
  select t.ctid as place, t.{time}::timestamptz as at from {table} t
  where not (select so from grown)
    and t.{time} >= greatest(%(since)s::timestamptz, %(begin)s::timestamptz)
    and t.{time} < least(%(cutoff)s::timestamptz, %(until)s::timestamptz)
  order by t.{time} limit %(rows)s for update skip locked
),
moved as (
  delete from {table} t where t.ctid = any (array(select b.place from batch b)) returning t.*
),
kept as (
  insert into {archive} ({columns}) overriding system value select {columns} from moved
)
select count(*) as moved,
       (select to_char(max(b.at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from batch b
        having count(*) = %(rows)s) as begin
from moved having count(*) > 0
