"""Rows that nobody has put away."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

_SYSTEM = "voiceaitraining"
# Older than the rule's year, and newer than anything that an earlier quarter has archived.
_OLD = """
insert into scenario_attempts (org_id, scenario_id, user_id, status, score, transcript, started_at, ended_at)
select org_id, scenario_id, user_id, 'completed', 70, 'forgotten-by-the-quarter',
       ended_at - interval '9 minutes', ended_at
from (select a.org_id, a.scenario_id, a.user_id,
             now() - interval '367 days' - (n % 80) * interval '1 day' - n * interval '1 second' as ended_at
      from generate_series(1, 600) n
        join lateral (select * from scenario_attempts order by id offset n % 50 limit 1) a on true) old
"""
_ANSWERS = """
insert into attempt_answers (attempt_id, question, answer, points)
select id, question, 'an answer', 5 from scenario_attempts, generate_series(1, 2) question
where transcript = 'forgotten-by-the-quarter'
"""


def _forget(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(_OLD.encode())
        admin.execute(_ANSWERS.encode())
        admin.execute(b"analyze scenario_attempts")


def _clear(world: World, system: str) -> None:
    """Remove the rows on whichever side they are; answers go with their attempts, or are named by them."""
    archived = "select id from scenario_attempts_archive where transcript = 'forgotten-by-the-quarter'"
    with world.databases.admin(system) as admin:
        admin.execute(f"delete from attempt_answers_archive where attempt_id in ({archived})".encode())
        for table in ("scenario_attempts", "scenario_attempts_archive"):
            admin.execute(f"delete from {table} where transcript = 'forgotten-by-the-quarter'".encode())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "old-rows",
        "attempts of more than a year ago were never put into the archive",
        _forget,
        {"archive-rows": (Status.WARNING, "old-rows")},
        systems=(_SYSTEM,),
        heal=_clear,
    ),
)
