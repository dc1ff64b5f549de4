-- title: Prepared transactions: they hold locks and old rows without any session
-- kind: read
-- returns: gid text, prepared_at time, age seconds, owner text, database text
-- params: nothing
-- needs: nothing
-- cost: one row a prepared transaction, from memory
-- lock: none
-- since: 14
-- pooler: yes
select gid, prepared as prepared_at, clock_timestamp() - prepared as age, owner, database
from pg_prepared_xacts
order by prepared
