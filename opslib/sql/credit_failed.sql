-- title: Entries that failed, and that nobody is known to have made good
-- kind: read
-- returns: entry text, owner text, amount int, type text, reason text, reference text, at time, doubtful bool
-- params: ledger name, key name, user name, amount name, type name, reason name, status name, time name,
--   request name, reference name, days int
-- needs: select on the table, and to be let past its row level security
-- cost: the entries of so many days, by an index that begins with the time
-- lock: access share
-- since: 14
-- pooler: yes
-- One that the app has repeated by itself, for the same user and the same thing, is made good; so are all
-- failures of one request once one of them was. What has no reference is known by its looks only: each later
-- entry like it makes good one failure at most, and even that one is told, as `doubtful`.
with entries as (
  select t.{key} as id, t.{user} as owner, t.{amount} as amount, t.{type} as type, t.{reason} as reason,
         t.{reference} as reference, t.{time} as at, t.{status} = 'failed' as failed,
         t.{status} = 'failed' and exists (
           select from {ledger} r where r.{request} = concat('opslib:retry:', t.{key})) as retried
  from {ledger} t
  where t.{time} > clock_timestamp() - %(days)s * interval '1 day'
    and coalesce(t.{status}, 'completed') in ('completed', 'failed')
),
alike as (
  select e.*, sum(case when e.failed then 1 else -1 end) over (
    partition by e.owner, e.type, e.amount, e.reason order by e.at, e.failed desc, e.id) as open
  from entries e where e.reference is null and not (e.failed and e.retried)
),
-- As brackets are matched: a failure is closed where later on fewer are open than with it.
closed as (
  select a.id, a.open > min(a.open) over (
    partition by a.owner, a.type, a.amount, a.reason order by a.at, a.failed desc, a.id
    rows between 1 following and unbounded following) as closed
  from alike a
)
select e.id::text as entry, e.owner::text as owner, e.amount::bigint as amount, e.type as type,
       e.reason as reason, e.reference::text as reference, e.at as at, coalesce(c.closed, false) as doubtful
from entries e left join closed c on c.id = e.id
where e.failed and not e.retried
  and (e.reference is null
    or (not exists (
          select from {ledger} o join {ledger} r on r.{request} = concat('opslib:retry:', o.{key})
          where o.{user} = e.owner and o.{type} = e.type and o.{amount} = e.amount and o.{status} = 'failed'
            and o.{reason} is not distinct from e.reason and o.{reference} = e.reference)
        and not exists (
          select from {ledger} r
          where r.{user} = e.owner and r.{type} = e.type and r.{amount} = e.amount
            and r.{reference} = e.reference and r.{reason} is not distinct from e.reason
            and coalesce(r.{status}, 'completed') = 'completed' and r.{time} > e.at)))
order by doubtful, e.at, e.id
