-- title: Buckets of files that anybody may read
-- kind: read
-- returns: buckets list
-- params: table name
-- needs: select on the table, and to be let past its row level security
-- cost: one row a bucket
-- lock: access share
-- since: 14
-- pooler: yes
-- One row.
select array(select to_jsonb(b) ->> 'id' from {table} b
             where (to_jsonb(b) ->> 'public')::boolean order by 1) as buckets
