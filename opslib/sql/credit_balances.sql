-- title: Balances that are negative, absurdly large, or not what the ledger says
-- kind: read
-- returns: owner text, balance int, ledger int, drift int, absurd bool,
--   gone bool, last_entry time
-- params: table name, ledger name, user name, balance name, amount name, type name, status name, time name,
--   high int, rows int
-- needs: select on both tables, and to be let past their row level security
-- cost: both tables are read through once
-- lock: access share
-- since: 14
-- within: 60
-- pooler: yes
-- `gone`: entries of a user who has no account add up to something. The balance is 0 then.
-- The worst of each kind come first, so that the limit cuts off none of the three.
with sums as (
  select t.{user} as owner, max(t.{time}) as last_entry,
         sum(case when t.{type} = 'credit' then t.{amount} else -t.{amount} end) as ledger
  from {ledger} t
  where coalesce(t.{status}, 'completed') = 'completed' and t.{user} is not null group by t.{user}
),
accounts as (
  select coalesce(c.{user}, s.owner) as owner, coalesce(c.{balance}, 0) as balance,
         coalesce(s.ledger, 0) as ledger, coalesce(c.{balance}, 0) - coalesce(s.ledger, 0) as drift,
         c.{user} is null as gone, s.last_entry
  from {table} c full join sums s on s.owner = c.{user}
)
select a.owner::text as owner, a.balance::bigint as balance, a.ledger::bigint as ledger,
       a.drift::bigint as drift, a.balance > %(high)s as absurd, a.gone, a.last_entry
from accounts a
where a.balance < 0 or a.balance > %(high)s or a.drift <> 0
order by least(case when a.balance < 0 then row_number() over (order by a.balance, a.owner) end,
               case when a.balance > %(high)s then row_number() over (order by a.balance desc, a.owner) end,
               case when a.drift <> 0 then row_number() over (order by abs(a.drift) desc, a.owner) end),
         a.balance, a.owner
limit %(rows)s
