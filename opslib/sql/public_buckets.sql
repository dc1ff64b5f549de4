-- title: Buckets of files that anybody may read
-- kind: read
-- returns: buckets list, hidden bool
-- params: table name
-- needs: select on the table
-- cost: one row a bucket
-- lock: access share
-- since: 14
-- pooler: yes
-- One row. `hidden`: row security holds for our role, so that there may be buckets which it does not see.
select array(select to_jsonb(b) ->> 'id' from {table} b
             where (to_jsonb(b) ->> 'public')::boolean order by 1) as buckets,
       row_security_active(to_regclass(%(table)s)) as hidden
