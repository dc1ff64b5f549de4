-- title: Refunds by the app of what opslib had given back before
-- kind: read
-- returns: entry text, original text, owner text, amount int, type text, reason text, reference text, at time
-- params: ledger name, key name, user name, amount name, type name, reason name, status name, time name,
--   request name, reference name, days int
-- needs: select on the table, and to be let past its row level security
-- cost: the entries of so many days, and those of their users
-- lock: access share
-- since: 14
-- pooler: yes
-- Opslib's own entry names the charge that it is for, and the app's the same user, amount and what it was
-- for. It may still be for another charge of those, so that only the owner of the app can tell.
select distinct on (e.{time}, e.{key})
       e.{key}::text as entry, o.{key}::text as original, e.{user}::text as owner,
       e.{amount}::bigint as amount, e.{type} as type, e.{reason} as reason,
       e.{reference}::text as reference, e.{time} as at
from {ledger} e
join {ledger} o on o.{user} = e.{user} and o.{amount} = e.{amount} and o.{reference} = e.{reference}
  and o.{type} <> e.{type}
join {ledger} r on r.{request} = concat('opslib:refund:', o.{key}) and r.{time} < e.{time}
where e.{time} > clock_timestamp() - %(days)s * interval '1 day'
  and coalesce(e.{status}, 'completed') = 'completed' and coalesce(r.{status}, 'completed') = 'completed'
order by e.{time}, e.{key}, o.{key}
