"""Ways in which what is set, what should be set and what serves part company, while the app still works."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from opslib.sandbox import variables
from opslib.sandbox.scenario import Scenario, World
from opslib.sandbox.simulators.doppler import DopplerApi
from opslib.sandbox.variables import PRODUCTION, Variable
from opslib.verdict import Status

ONLY_AT_DOPPLER = "LINEAR_WEBHOOK_SECRET"
LEAK = "NEXT_PUBLIC_SUPABASE_SERVICE_ROLE_KEY"


def _forget_one_of_two(world: World, system: str) -> None:
    """Set a secret at Doppler alone, as somebody does who takes it for the only place."""
    doppler = world.web.simulator("doppler")
    assert isinstance(doppler, DopplerApi)
    there = doppler.values(world.web.app(system).system)
    there[ONLY_AT_DOPPLER] = f"sandbox-{secrets.token_hex(16)}"
    world.hold("env-drift", system).callback(there.pop, ONLY_AT_DOPPLER, None)


def _publish_a_secret(world: World, system: str) -> None:
    """Give a secret a name by which the build copies it into the pages, and deploy."""
    project = world.web.project(system)
    now, value = _now(), f"sandbox-{secrets.token_hex(16)}"
    made = Variable(secrets.token_hex(8), LEAK, value, "encrypted", (PRODUCTION,), now, now)
    stack, before = world.hold("env-public-leak", system), project.current
    project.variables[made.id] = made
    stack.callback(project.variables.pop, made.id, None)
    again = project.deploy(project.serving.commit, project.serving.message)
    stack.callback(project.withdraw, again.id, before)


def _change_and_walk_away(world: World, system: str) -> None:
    """Give a variable another value and do not deploy."""
    project = world.web.project(system)
    known = variables.find(project.variables, world.web.app(system).system.required_env[0])
    changed = replace(known, value=f"sandbox-{secrets.token_hex(16)}", updated=_now())
    project.variables[known.id] = changed
    world.hold("env-not-live", system).callback(variables.put_back, project.variables, known)


def _now() -> int:
    return int(time.time() * 1000)


SCENARIOS = (
    Scenario(
        "env-drift",
        "a secret was set at Doppler and not at Vercel",
        _forget_one_of_two,
        {"env-vars": (Status.WARNING, "env-drift")},
        ("klutr",),
    ),
    Scenario(
        "env-public-leak",
        "a secret has a name that begins with NEXT_PUBLIC_, so every visitor's browser has its value",
        _publish_a_secret,
        {"env-vars": (Status.CRITICAL, "env-public-leak")},
    ),
    Scenario(
        "env-not-live",
        "a variable was changed after the serving deployment was built, so nobody has the new value yet",
        _change_and_walk_away,
        {"env-vars": (Status.WARNING, "env-not-live")},
    ),
)
