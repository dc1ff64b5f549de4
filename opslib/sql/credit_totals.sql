-- title: How many balances there are, and how many of them are wrong
-- kind: read
-- returns: accounts int, negative int, absurd int, drifting int
-- params: table name, ledger name, user name, balance name, amount name, type name, status name, high int
-- needs: select on both tables, and to be let past their row level security
-- cost: both tables are read through once
-- lock: access share
-- since: 14
-- within: 60
-- pooler: yes
-- Entries of a user who has no account must add up to nothing.
with sums as (
  select t.{user} as owner, sum(case when t.{type} = 'credit' then t.{amount} else -t.{amount} end) as ledger
  from {ledger} t
  where coalesce(t.{status}, 'completed') = 'completed' and t.{user} is not null group by t.{user}
)
select count(c.{user}) as accounts,
       count(*) filter (where c.{balance} < 0) as negative,
       count(*) filter (where c.{balance} > %(high)s) as absurd,
       count(*) filter (where coalesce(c.{balance}, 0) <> coalesce(s.ledger, 0)) as drifting
from {table} c full join sums s on s.owner = c.{user}
