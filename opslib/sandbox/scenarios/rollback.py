"""Ways in which going back to an earlier deployment is impossible, needless, or somebody else's work."""

from __future__ import annotations

import hashlib

from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.switching import ROLLBACK, AliasRequest
from opslib.verdict import Status

_HOUR_MS = 3_600_000


def _lose_the_past(world: World, system: str) -> None:
    """Deploy bad code where everything before it was deleted, as a retention policy does."""
    project = world.web.project(system)
    stack, before = world.hold("rollback-target-gone", system), project.current
    old = project.deployments
    made = project.deploy(_commit(f"lonely {system}"), "Move to the new framework", broken=True)
    stack.callback(project.withdraw, made.id, before)
    project.take_away(old)
    stack.callback(project.put_back, old)


def _roll_back(world: World, system: str) -> None:
    """Deploy bad code and roll it back, as a colleague did an hour ago."""
    project = world.web.project(system)
    before = project.current
    made = project.deploy(_commit(f"abandoned {system}"), "Rewrite the session store", broken=True)
    world.hold("already-rolled-back", system).callback(project.withdraw, made.id, before)
    project.promote(before)
    project.request = AliasRequest(ROLLBACK, made.id, before, project.clock() - _HOUR_MS)
    project.auto_assign = False


def _deploy_bad_backend(world: World, system: str) -> None:
    service = world.web.service(system)
    made = service.deploy(_commit(f"bad backend {system}"), "Read settings from the new table", broken=True)
    world.hold("bad-backend-deploy", system).callback(service.withdraw, made.id)


def _commit(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


SCENARIOS = (
    Scenario(
        "rollback-target-gone",
        "a new deployment fails, and no earlier one is kept that production could go back to",
        _lose_the_past,
        {
            "rollback": (Status.CRITICAL, "rollback-target-gone"),
            "site-down": (Status.CRITICAL, ""),
            "health-check": (Status.CRITICAL, "app-500"),
        },
    ),
    Scenario(
        "already-rolled-back",
        "a bad deployment was rolled back an hour ago: the site is well, and nothing new goes live",
        _roll_back,
        {"rollback": (Status.WARNING, "already-rolled-back"), "site-down": (Status.OK, "")},
    ),
    Scenario(
        "bad-backend-deploy",
        "a new deployment of the backend at Railway fails at each request; pages still come",
        _deploy_bad_backend,
        {
            "rollback": (Status.CRITICAL, "bad-backend-deploy"),
            "health-check": (Status.CRITICAL, "app-500"),
            "site-down": (Status.CRITICAL, "app-500"),
        },
        ("your-backend",),
    ),
)
