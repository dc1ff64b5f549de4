-- title: Move one batch of old rows, and the rows of another table that hang on them, into two others
-- kind: batch
-- returns: moved int, with_them int, begin text
-- params: table name, archive name, key name, time name, columns names, columns_ever int, child name,
--   child_archive name, parent_key name, child_columns names, child_columns_ever int, triggers int,
--   since time, cutoff time, rows int
-- step: begin time, until time
-- needs: delete on two tables and insert on two others, and to be let past their row level security
-- cost: as many rows as asked for, by an index that begins with the time, and those that hang on them
-- lock: row exclusive; the rows themselves while the statement runs
-- since: 14
-- rows: all
-- locks: table, archive, child, child_archive
-- pooler: no
-- One statement, so that no row is ever in neither table or in both. A row of the child that came after it
-- began would be deleted with its parent: then the whole batch fails instead, as its transaction does not
-- let a foreign key touch what it did not see.
-- While one of them has a column which the plan does not know, it moves nothing: what that column holds
-- would be lost. Nor while there is another trigger, as each foreign key brings one along that may delete
-- elsewhere. The tables are locked before anything is seen, so that this is of what is so now.
-- It begins where the last step came to: from the start, each would pass by all rows that went before,
-- which an old snapshot keeps from being forgotten. Within the limits, whatever a step is told. Where it
-- finds less than it may take, no other step follows there.
-- By the places of the rows: a join by key would read the whole table, batch after batch.
with grown as (
  select coalesce(
    has_column_privilege(to_regclass(%(table)s), (%(columns_ever)s + 1)::int2, 'select'),
    has_column_privilege(to_regclass(%(child)s), (%(child_columns_ever)s + 1)::int2, 'select')
  ) is not null
    or %(triggers)s <> (
      select count(*) from pg_trigger g
      where g.tgenabled <> 'D' and g.tgrelid in (
        to_regclass(%(table)s), to_regclass(%(archive)s), to_regclass(%(child)s),
        to_regclass(%(child_archive)s))
    ) as so
),
batch as materialized (
  select t.ctid as place, t.{time}::timestamptz as at, t.{key} as id from {table} t
  where not (select so from grown)
    and t.{time} >= greatest(%(since)s::timestamptz, %(begin)s::timestamptz)
    and t.{time} < least(%(cutoff)s::timestamptz, %(until)s::timestamptz)
  order by t.{time} limit %(rows)s for update skip locked
),
hanging as (
  delete from {child} c where c.{parent_key} = any (array(select b.id from batch b)) returning c.*
),
moved as (
  delete from {table} t where t.ctid = any (array(select b.place from batch b)) returning t.*
),
kept as (
  insert into {archive} ({columns}) overriding system value select {columns} from moved
),
kept_too as (
  insert into {child_archive} ({child_columns}) overriding system value
  select {child_columns} from hanging
)
select count(*) as moved, (select count(*) from hanging) as with_them,
       (select to_char(max(b.at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from batch b
        having count(*) = %(rows)s) as begin
from moved having count(*) > 0
