-- title: Feature flags that the app keeps in its own table, the last changed first
-- kind: read
-- returns: name text, enabled bool, kill_switch bool, rollout_percentage int, updated_at time,
--   owner text, description text
-- params: nothing
-- needs: select on public.feature_flags, and to be let past its row level security
-- cost: one row a flag
-- lock: none
-- since: 14
-- pooler: yes
select f.name,
       coalesce(f.enabled, false) as enabled,
       coalesce(f.kill_switch, false) as kill_switch,
       f.rollout_percentage::int as rollout_percentage,
       -- Not every app's table has these; as JSON a column that is not there is null, not an error.
       (to_jsonb(f) ->> 'updated_at')::timestamptz as updated_at,
       coalesce(to_jsonb(f) ->> 'owner', '') as owner,
       coalesce(to_jsonb(f) ->> 'description', '') as description
from public.feature_flags f
order by 5 desc nulls last, 1
