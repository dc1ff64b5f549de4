-- title: Balances that are negative, absurdly large, or not what the ledger says
-- kind: read
-- returns: owner text, balance int, ledger int, drift int, last_entry time
-- params: table name, ledger name, user name, balance name, amount name, type name, status name, time name,
--   high int, rows int
-- needs: select on both tables, and to be let past their row level security
-- cost: both tables are read through once
-- lock: access share
-- since: 14
-- pooler: yes
with sums as (
  select t.{user} as owner, max(t.{time}) as last_entry,
         sum(case when t.{type} = 'credit' then t.{amount} else -t.{amount} end) as ledger
  from {ledger} t where coalesce(t.{status}, 'completed') = 'completed' group by t.{user}
)
select c.{user}::text as owner, c.{balance}::bigint as balance, coalesce(s.ledger, 0)::bigint as ledger,
       c.{balance}::bigint - coalesce(s.ledger, 0)::bigint as drift, s.last_entry
from {table} c left join sums s on s.owner = c.{user}
where c.{balance} < 0 or c.{balance} > %(high)s or c.{balance} <> coalesce(s.ledger, 0)
order by c.{balance}, c.{user} limit %(rows)s
