-- title: How far each sequence has counted
-- kind: read
-- returns: name text, last_value int
-- params: nothing
-- needs: pg_read_all_data
-- cost: one look at each sequence
-- lock: access share, for a moment
-- since: 14
-- pooler: yes
-- A restore that forgets them collides at the next insert. Empty: it was never used, or may not be read.
select quote_ident(schemaname) || '.' || quote_ident(sequencename) as name, last_value
from pg_sequences
order by schemaname, sequencename
