-- title: What the server has counted for this database: checksum failures, deadlocks, rollbacks
-- kind: read
-- returns: database text, checksums_on bool, checksum_failures int, last_checksum_failure time, deadlocks
--   int, commits int, rollbacks int, temporary_bytes int, since time
-- params: nothing
-- needs: nothing
-- cost: one row from memory
-- lock: none
-- since: 14
-- pooler: yes
select datname as database,
       current_setting('data_checksums') = 'on' as checksums_on,
       checksum_failures,
       checksum_last_failure as last_checksum_failure,
       deadlocks,
       xact_commit as commits,
       xact_rollback as rollbacks,
       temp_bytes as temporary_bytes,
       stats_reset as since
from pg_stat_database
where datname = current_database()
