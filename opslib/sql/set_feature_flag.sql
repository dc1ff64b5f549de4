-- title: Set one feature flag, if it still is as it was seen
-- kind: write
-- returns: name text, was_enabled bool, was_kill_switch bool, was_rollout int, enabled bool,
--   kill_switch bool, rollout int, updated_at time
-- params: name text, enabled bool, kill_switch bool, rollout int, seen_enabled bool,
--   seen_kill_switch bool, seen_rollout int, seen_updated_at text
-- needs: update on public.feature_flags, and to be let past its row level security
-- cost: one row, by its primary key
-- lock: row exclusive
-- since: 14
-- pooler: no
-- Exactly one row, or none where it has moved; an empty `seen_updated_at` leaves the time aside.
with old as (
    select f.name, f.enabled, f.kill_switch, f.rollout_percentage
    from public.feature_flags f
    where f.name = %(name)s
      and coalesce(f.enabled, false) = %(seen_enabled)s
      and coalesce(f.kill_switch, false) = %(seen_kill_switch)s
      and f.rollout_percentage = %(seen_rollout)s
      and (nullif(%(seen_updated_at)s, '') is null
           or f.updated_at = nullif(%(seen_updated_at)s, '')::timestamptz)
    for update
)
update public.feature_flags f
set enabled = %(enabled)s,
    kill_switch = %(kill_switch)s,
    rollout_percentage = %(rollout)s,
    updated_at = clock_timestamp()
from old
where f.name = old.name
returning f.name,
          old.enabled as was_enabled,
          old.kill_switch as was_kill_switch,
          old.rollout_percentage::int as was_rollout,
          f.enabled,
          f.kill_switch,
          f.rollout_percentage::int as rollout,
          f.updated_at
