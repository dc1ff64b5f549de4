-- title: Write one entry into the ledger, and the same into the balance, if both are what was seen
-- kind: write
-- returns: owner text, balance int
-- params: table name, ledger name, user name, balance name, amount name, type name, reason name,
--   status name, request name, changed name, owner text, entry text, note text, delta int, on_balance int,
--   seen_balance int, seen_ledger int
-- needs: update on the one table and insert on the other, and to be let past their row level security
-- cost: one row of each, and the entries of one user
-- lock: row exclusive; the row of the balance
-- since: 14
-- pooler: no
-- Never a balance that is overwritten: a dated entry with its reason, at most once by its unique name, and
-- only onto a balance and a ledger that nobody has changed since they were seen.
with account as materialized (
  select c.{user} as owner from {table} c
  where c.{user} = %(owner)s and c.{balance} = %(seen_balance)s
    and %(seen_ledger)s = (
      select coalesce(sum(case when t.{type} = 'credit' then t.{amount} else -t.{amount} end), 0)
      from {ledger} t
      where t.{user} = c.{user} and coalesce(t.{status}, 'completed') = 'completed')
  for update
),
entry as (
  insert into {ledger} ({user}, {amount}, {type}, {reason}, {status}, {request})
  select a.owner, abs(%(delta)s::int), case when %(delta)s::int >= 0 then 'credit' else 'debit' end,
         %(note)s, 'completed', %(entry)s
  from account a
  on conflict ({request}) do nothing
  returning {user} as owner
)
update {table} c
set {balance} = c.{balance} + %(on_balance)s::int,
    {changed} = case when %(on_balance)s::int = 0 then c.{changed} else clock_timestamp() end
from entry e
where c.{user} = e.owner
returning c.{user}::text as owner, c.{balance}::bigint as balance
