-- title: Delete one batch of old rows
-- kind: write
-- returns: deleted int, begin text
-- params: table name, time name, triggers int, since time, cutoff time, rows int
-- step: begin time, until time
-- needs: delete on the table, and to be let past its row level security
-- cost: as many rows as asked for, by an index that begins with the time
-- lock: row exclusive; the rows themselves while the statement runs
-- since: 14
-- rows: all
-- pooler: no
-- While there is another trigger than the plan knows, it deletes nothing: each foreign key brings one along
-- that may delete elsewhere. Asked under the lock, of what is so now.
-- Rows that somebody works at are left for a later batch. No row is returned where nothing was found.
-- It begins where the last step came to: from the start, each would pass by all rows that went before,
-- which an old snapshot keeps from being forgotten. Within the limits, whatever a step is told. Where it
-- finds less than it may take, no other step follows there.
-- By the places of the rows: a join by key would read the whole table, batch after batch.
with other as (
  select %(triggers)s <> (
    select count(*) from pg_trigger g
    where g.tgrelid = to_regclass(%(table)s) and g.tgenabled <> 'D'
  ) as so
),
batch as materialized (
  select t.ctid as place, t.{time}::timestamptz as at from {table} t
  where not (select so from other)
    and t.{time} >= greatest(%(since)s::timestamptz, %(begin)s::timestamptz)
    and t.{time} < least(%(cutoff)s::timestamptz, %(until)s::timestamptz)
  order by t.{time} limit %(rows)s for update skip locked
),
gone as (
  delete from {table} t where t.ctid = any (array(select b.place from batch b)) returning 1
)
select count(*) as deleted,
       (select to_char(max(b.at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from batch b
        having count(*) = %(rows)s) as begin
from gone having count(*) > 0
