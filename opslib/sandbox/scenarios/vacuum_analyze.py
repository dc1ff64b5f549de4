"""Ways in which the planner is left with numbers that are no longer true."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario
from opslib.sandbox.scenarios.index_usage import as_app
from opslib.verdict import Status

_LOAD, _LOAD_ROWS = "import_load", 20_000

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "stats-stale",
        "a table was filled at once, and nobody has counted its rows since",
        as_app(
            f"create table {_LOAD} (id int) with (autovacuum_enabled = off)",
            f"insert into {_LOAD} select generate_series(1, {_LOAD_ROWS})",
        ),
        dict.fromkeys(("vacuum-analyze", "slow-queries"), (Status.WARNING, "stats-stale")),
        heal=as_app(f"drop table if exists {_LOAD}"),
    ),
)
