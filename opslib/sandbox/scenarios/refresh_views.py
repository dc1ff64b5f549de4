"""A report that goes on showing what was true before its job stopped."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario
from opslib.sandbox.scenarios.index_usage import as_app
from opslib.verdict import Status

_VIEWS = ("reporting_daily_attempts", "reporting_leaderboard")
_MARK = "rehearsed after the last refresh"

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "matview-stale",
        "the job that refreshes the reports has stopped, and users go on working",
        as_app(
            "update reporting_refreshes set refreshed_at = refreshed_at - interval '3 days'",
            "insert into scenario_attempts"
            " (org_id, scenario_id, user_id, status, score, transcript, started_at, ended_at)"
            f" select org_id, scenario_id, user_id, 'completed', 100, '{_MARK}', now(), now()"
            " from scenario_attempts order by id limit 20",
        ),
        {"refresh-views": (Status.WARNING, "matview-stale")},
        systems=("voiceaitraining",),
        heal=as_app(
            f"delete from scenario_attempts where transcript = '{_MARK}'",
            *(f"refresh materialized view concurrently {view}" for view in _VIEWS),
            "update reporting_refreshes set refreshed_at = now() - interval '25 minutes'",
        ),
    ),
)
