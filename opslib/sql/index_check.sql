-- title: Is the order of an index what its table's rows demand
-- kind: read
-- returns: index_name text
-- params: amcheck name, numbers list
-- needs: the right to call bt_index_check
-- cost: reads each of the indexes whole
-- lock: access share
-- since: 14
-- within: 120
-- pooler: yes
-- `amcheck` is the schema of the extension. A damaged index is an error of the statement, not a row.
select c.oid::regclass::text as index_name
from pg_class c
cross join lateral {amcheck}.bt_index_check(c.oid::regclass) checked
where c.oid = any(%(numbers)s::bigint[]::oid[])
