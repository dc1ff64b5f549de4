"""Ways in which the past is out of reach."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.sandbox.simulators.neon import NeonApi
    from opslib.sandbox.simulators.supabase import Project, SupabaseApi

_ID = "target-time-out-of-window"
_LEFT = timedelta(minutes=10)


def supabase(world: World, system: str) -> Project:
    """Return a system's project at Supabase, to be changed."""
    return cast("SupabaseApi", world.web.simulator("supabase")).project(system)


def forget(world: World, system: str, scenario: str = _ID) -> None:
    """Cut the vendor's history short, as a change to a smaller plan does, until the scenario is healed."""
    stack = world.hold(scenario, system)
    if "neon" in world.web.app(system).system.vendors:
        neon = cast("NeonApi", world.web.simulator("neon")).project(system)
        stack.callback(setattr, neon, "history_s", neon.history_s)
        neon.history_s = int(_LEFT.total_seconds())
    else:
        project = supabase(world, system)
        stack.callback(setattr, project, "reach", project.reach)
        project.reach = _LEFT


SCENARIOS = (
    Scenario(
        _ID,
        "the vendor keeps the history for minutes only, so an hour ago is gone",
        forget,
        {"point-in-time": (Status.CRITICAL, _ID)},
    ),
)
