-- title: Since when statements are counted, and whether some were dropped
-- kind: read
-- returns: since time, age seconds, dropped int, entries int, most int, hidden int
-- params: statements name
-- needs: pg_monitor
-- cost: one pass over the statistics
-- lock: none
-- since: 14
-- pooler: yes
-- `dropped`: how often the rarest were dropped to make room; then the figures are incomplete.
select i.stats_reset as since, clock_timestamp() - i.stats_reset as age, i.dealloc as dropped,
       counted.entries, current_setting('pg_stat_statements.max', true)::int as most, counted.hidden
from {statements}.pg_stat_statements_info i
cross join (
  select count(*) as entries, count(*) filter (where query = '<insufficient privilege>') as hidden
  from {statements}.pg_stat_statements
) counted
