-- title: Entries that the same request wrote twice, and that nobody has refunded
-- kind: read
-- returns: entry text, original text, owner text, amount int, type text, reason text, reference text,
--   at time, apart seconds
-- params: ledger name, key name, user name, amount name, type name, reason name, status name, time name,
--   request name, reference name, days int, apart int
-- needs: select on the table, and to be let past its row level security
-- cost: the entries of so many days, by an index that begins with the time
-- lock: access share
-- since: 14
-- pooler: yes
-- The same request: user, kind, amount, reason and what it was for are the same, within seconds. The same
-- amount twice a day, for something else each time, is an honest repeat.
with entries as (
  select t.*, lag(t.{key}) over same as original, t.{time} - lag(t.{time}) over same as apart
  from {ledger} t
  where t.{time} > clock_timestamp() - %(days)s * interval '1 day'
    and coalesce(t.{status}, 'completed') = 'completed' and t.{reference} is not null
  window same as (
    partition by t.{user}, t.{type}, t.{amount}, t.{reason}, t.{reference} order by t.{time}, t.{key}
  )
)
select e.{key}::text as entry, e.original::text as original, e.{user}::text as owner,
       e.{amount}::bigint as amount, e.{type} as type, e.{reason} as reason, e.{reference}::text as reference,
       e.{time} as at, e.apart
from entries e
where e.apart <= %(apart)s * interval '1 second'
  and not exists (select from {ledger} r where r.{request} = concat('opslib:refund:', e.{key}))
  and not exists (
    select from {ledger} r
    where r.{user} = e.{user} and r.{amount} = e.{amount} and r.{reference} = e.{reference}
      and r.{type} <> e.{type} and coalesce(r.{status}, 'completed') = 'completed' and r.{time} >= e.{time})
order by e.{time}, e.{key}
