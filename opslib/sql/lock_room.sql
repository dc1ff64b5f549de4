-- title: For how many locks this server has room at once
-- kind: read
-- returns: locks int, each int, sessions int
-- params: nothing
-- needs: nothing
-- cost: one row from memory
-- lock: none
-- since: 14
-- pooler: yes
-- `each` is the setting max_locks_per_transaction. The room is for all sessions together, the server's own
-- too; a transaction may take more than its share. Only a tenth or so is to spare.
select s.each * s.sessions as locks, s.each, s.sessions
from (
  select current_setting('max_locks_per_transaction')::bigint as each,
         current_setting('max_connections')::bigint
         + current_setting('max_prepared_transactions')::bigint
         + current_setting('max_worker_processes')::bigint
         + current_setting('max_wal_senders')::bigint
         + current_setting('autovacuum_worker_slots')::bigint -- pg>=18
         + current_setting('autovacuum_max_workers')::bigint -- pg<18
           as sessions
) s
