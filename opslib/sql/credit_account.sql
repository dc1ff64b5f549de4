-- title: One account: its balance, what the ledger says, and whether an entry is there
-- kind: read
-- returns: balance int, ledger int, written bool
-- params: table name, ledger name, user name, balance name, amount name, type name, status name,
--   request name, owner text, entry text
-- needs: select on both tables, and to be let past their row level security
-- cost: the entries of one user
-- lock: access share
-- since: 14
-- pooler: yes
select c.{balance}::bigint as balance,
       (select coalesce(sum(case when t.{type} = 'credit' then t.{amount} else -t.{amount} end), 0)::bigint
        from {ledger} t
        where t.{user} = c.{user} and coalesce(t.{status}, 'completed') = 'completed') as ledger,
       exists (select from {ledger} r where r.{request} = %(entry)s) as written
from {table} c
where c.{user} = %(owner)s
