-- title: Entries that failed, and that nobody has made good
-- kind: read
-- returns: entry text, owner text, amount int, type text, reason text, reference text, at time
-- params: ledger name, key name, user name, amount name, type name, reason name, status name, time name,
--   request name, reference name, days int
-- needs: select on the table, and to be let past its row level security
-- cost: the entries of so many days, by an index that begins with the time
-- lock: access share
-- since: 14
-- pooler: yes
-- One that the app has repeated by itself, for the same user and the same thing, is made good.
select t.{key}::text as entry, t.{user}::text as owner, t.{amount}::bigint as amount, t.{type} as type,
       t.{reason} as reason, t.{reference}::text as reference, t.{time} as at
from {ledger} t
where t.{time} > clock_timestamp() - %(days)s * interval '1 day' and t.{status} = 'failed'
  and not exists (select from {ledger} r where r.{request} = concat('opslib:retry:', t.{key}))
  and not exists (
    select from {ledger} r
    where r.{user} = t.{user} and r.{type} = t.{type} and r.{amount} = t.{amount}
      and r.{reference} = t.{reference} and r.{status} = 'completed' and r.{time} > t.{time})
order by t.{time}, t.{key}
