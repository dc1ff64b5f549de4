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
-- amount twice a day, for something else each time, is an honest repeat. A refund by the app, known by user,
-- amount and what it was for, gives back one of them.
with entries as (
  select t.{key} as id, t.{user} as owner, t.{amount} as amount, t.{type} as type, t.{reason} as reason,
         t.{reference} as reference, t.{time} as at,
         lag(t.{key}) over same as original, t.{time} - lag(t.{time}) over same as apart
  from {ledger} t
  where t.{time} > clock_timestamp() - %(days)s * interval '1 day'
    and coalesce(t.{status}, 'completed') = 'completed' and t.{reference} is not null
  window same as (
    partition by t.{user}, t.{type}, t.{amount}, t.{reason}, t.{reference} order by t.{time}, t.{key}
  )
),
twice as (
  select e.* from entries e
  where e.apart <= %(apart)s * interval '1 second'
    and not exists (select from {ledger} r where r.{request} = concat('opslib:refund:', e.id))
),
steps as (
  select e.id, e.type, e.owner, e.amount, e.reference, e.at, 1 as step from twice e
  union all
  select r.id, o.type, r.owner, r.amount, r.reference, r.at, -1
  from entries r
    join (select distinct owner, amount, reference, type from twice) o
      on o.owner = r.owner and o.amount = r.amount and o.reference = r.reference and o.type <> r.type
),
counted as (
  select s.*, sum(s.step) over (
    partition by s.type, s.owner, s.amount, s.reference order by s.at, s.step desc, s.id) as open
  from steps s
),
-- As brackets are matched: one is given back where later on fewer are open than with it, and what gives one
-- back is no repeat, though it may look like one.
matched as (
  select c.id,
         case when c.step > 0
              then c.open > min(c.open) over (same rows between 1 following and unbounded following)
              else c.open >= least(
                0, min(c.open) over (same rows between unbounded preceding and 1 preceding))
         end as right_so
  from counted c
  window same as (partition by c.type, c.owner, c.amount, c.reference order by c.at, c.step desc, c.id)
)
select e.id::text as entry, e.original::text as original, e.owner::text as owner,
       e.amount::bigint as amount, e.type as type, e.reason as reason, e.reference::text as reference,
       e.at as at, e.apart
from twice e
where not exists (select from matched m where m.id = e.id and m.right_so)
order by e.at, e.id
