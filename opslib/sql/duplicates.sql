-- title: Values of a business key that occur in more than one row
-- kind: read
-- returns: keys int, rows int, example text
-- params: table name, a name, b name, c name, but name, without list
-- needs: select on the table
-- cost: scans a user's table, and sorts or hashes its key
-- lock: access share
-- since: 14
-- within: 120
-- pooler: yes
-- A key of fewer than three columns names its last one again. A key with a NULL in it is none.
-- Rows with one of the values `without` in the column `but` do not count.
select count(*) as keys, coalesce(sum(found.rows), 0)::bigint as rows, min(found.value) as example
from (
  select min(t.{a}::text) as value, count(*) as rows
  from {table} t
  where t.{a} is not null and t.{b} is not null and t.{c} is not null
    and coalesce(t.{but}::text <> all(%(without)s::text[]), true)
  group by t.{a}, t.{b}, t.{c}
  having count(*) > 1
) found
