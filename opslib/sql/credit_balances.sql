-- title: Balances that are negative, absurdly large, or not what the ledger says
-- kind: read
-- returns: owner text, balance int, ledger int, drift int, gone bool,
--   last_entry time
-- params: table name, ledger name, user name, balance name, amount name, type name, status name, time name,
--   high int, rows int
-- needs: select on both tables, and to be let past their row level security
-- cost: both tables are read through once
-- lock: access share
-- since: 14
-- pooler: yes
-- `gone`: entries of a user who has no account add up to something. The balance is 0 then.
with sums as (
  select t.{user} as owner, max(t.{time}) as last_entry,
         sum(case when t.{type} = 'credit' then t.{amount} else -t.{amount} end) as ledger
  from {ledger} t
  where coalesce(t.{status}, 'completed') = 'completed' and t.{user} is not null group by t.{user}
)
select coalesce(c.{user}, s.owner)::text as owner, coalesce(c.{balance}, 0)::bigint as balance,
       coalesce(s.ledger, 0)::bigint as ledger,
       coalesce(c.{balance}, 0)::bigint - coalesce(s.ledger, 0)::bigint as drift,
       c.{user} is null as gone, s.last_entry
from {table} c full join sums s on s.owner = c.{user}
where c.{balance} < 0 or c.{balance} > %(high)s or coalesce(c.{balance}, 0) <> coalesce(s.ledger, 0)
order by balance, owner limit %(rows)s
