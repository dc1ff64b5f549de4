-- title: Rows that point at a row that is not there
-- kind: read
-- returns: rows int, example text
-- params: child name, parent name, a name, b name, c name, x name, y name, z name, most int
-- needs: select on both tables
-- cost: scans both tables of a user
-- lock: access share
-- since: 14
-- pooler: yes
-- A key of fewer than three columns names its last one again. It counts no further than `most`.
select count(*) as rows, min(found.value) as example
from (
  select child.{a}::text as value
  from {child} child
  where child.{a} is not null and child.{b} is not null and child.{c} is not null
    and not exists (select from {parent} parent
                    where parent.{x} = child.{a} and parent.{y} = child.{b} and parent.{z} = child.{c})
  limit %(most)s
) found
