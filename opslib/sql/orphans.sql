-- title: Rows that point at a row that is not there
-- kind: read
-- returns: rows int, example text
-- params: child name, parent name, a name, b name, c name, x name, y name, z name,
--   child_heirs list, parent_heirs list, most int
-- needs: select on both tables
-- cost: scans both tables of a user
-- lock: access share
-- since: 14
-- within: 120
-- pooler: yes
-- A key of fewer than three columns names its last one again. It counts no further than `most`.
-- A foreign key is about the table itself and its partitions, and not about tables that merely inherit.
select count(*) as rows, min(found.value) as example
from (
  select child.{a}::text as value
  from {child} child
  where child.{a} is not null and child.{b} is not null and child.{c} is not null
    and child.tableoid <> all(%(child_heirs)s::bigint[]::oid[])
    and not exists (
      select from {parent} parent
      where parent.{x} = child.{a} and parent.{y} = child.{b} and parent.{z} = child.{c}
        and parent.tableoid <> all(%(parent_heirs)s::bigint[]::oid[]))
  limit %(most)s
) found
