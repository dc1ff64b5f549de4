-- title: Times between two others that part the rows of a table into about equally many
-- kind: read
-- returns: time text
-- params: schema text, name text, column text, since time, cutoff time
-- needs: select on the column, and to be let past the table's row level security
-- cost: the planner's statistics of one column
-- lock: none
-- since: 14
-- pooler: yes
-- As the last ANALYZE saw them, in order. It knows none where the rows are few among many others.
select to_char(b.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time
from pg_stats s, unnest(s.histogram_bounds::text::timestamptz[]) b (at)
where s.schemaname = %(schema)s and s.tablename = %(name)s and s.attname = %(column)s
  and b.at > %(since)s::timestamptz and b.at < %(cutoff)s::timestamptz
order by b.at
