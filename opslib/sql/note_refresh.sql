-- title: Note that a view was refreshed, in the app's own table, if nobody has noted it since
-- kind: write
-- returns: view_name text, refreshed_at time
-- params: table name, view name, time name, name text, seen text
-- needs: update on that table, and to be let past its row level security
-- cost: one row
-- lock: row exclusive
-- since: 14
-- pooler: no
update {table} t
set {time} = clock_timestamp()
where t.{view}::text = %(name)s
  and t.{time} = nullif(%(seen)s, '')::timestamptz
returning t.{view}::text as view_name, t.{time}::timestamptz as refreshed_at
