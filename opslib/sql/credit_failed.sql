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
-- One that the app has repeated by itself, for the same user and the same thing, is made good; so are all
-- failures of one request once one of them was.
select t.{key}::text as entry, t.{user}::text as owner, t.{amount}::bigint as amount, t.{type} as type,
       t.{reason} as reason, t.{reference}::text as reference, t.{time} as at
from {ledger} t
where t.{time} > clock_timestamp() - %(days)s * interval '1 day' and t.{status} = 'failed'
  and not exists (
    select from {ledger} o join {ledger} r on r.{request} = concat('opslib:retry:', o.{key})
    where o.{user} = t.{user} and o.{type} = t.{type} and o.{amount} = t.{amount} and o.{status} = 'failed'
      and o.{reason} is not distinct from t.{reason} and o.{reference} is not distinct from t.{reference})
  and not exists (
    select from {ledger} r
    where r.{user} = t.{user} and r.{type} = t.{type} and r.{amount} = t.{amount}
      and r.{reference} is not distinct from t.{reference} and r.{reason} is not distinct from t.{reason}
      and r.{status} = 'completed' and r.{time} > t.{time})
order by t.{time}, t.{key}
