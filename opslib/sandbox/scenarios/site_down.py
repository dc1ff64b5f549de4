"""Ways in which a site goes down around an app that is itself well."""

from __future__ import annotations

import hashlib

from opslib.sandbox import variables
from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status


def _deploy_bad_code(world: World, system: str) -> None:
    project = world.web.project(system)
    commit = hashlib.sha1(f"bad {system}".encode(), usedforsecurity=False).hexdigest()
    before = project.current
    made = project.deploy(commit, "Move the start page to the new router", broken=True)
    world.hold("bad-deploy", system).callback(project.withdraw, made.id, before)


def _break_name(world: World, system: str) -> None:
    host = world.web.host(system)
    world.web.dns.broken[host] = "NXDOMAIN"
    world.hold("dns-broken", system).callback(world.web.dns.broken.pop, host)


def _remove_variable(world: World, system: str) -> None:
    """Remove a required variable and deploy the same code again, as somebody who tidies up would."""
    project = world.web.project(system)
    name = world.web.app(system).system.required_env[0]
    stack = world.hold("env-var-missing", system)
    removed = variables.find(project.variables, name)
    del project.variables[removed.id]
    stack.callback(variables.put_back, project.variables, removed)
    before = project.current
    again = project.deploy(project.serving.commit, project.serving.message)
    stack.callback(project.withdraw, again.id, before)


SCENARIOS = (
    Scenario(
        "bad-deploy",
        "a new deployment answers 500 on every page; the one before it still works",
        _deploy_bad_code,
        {
            "site-down": (Status.CRITICAL, "bad-deploy"),
            "health-check": (Status.CRITICAL, "app-500"),
            "rollback": (Status.CRITICAL, "bad-deploy"),
        },
    ),
    Scenario(
        "dns-broken",
        "the name server does not know the site's name any more",
        _break_name,
        {"site-down": (Status.CRITICAL, "dns-broken"), "health-check": (Status.UNKNOWN, "dns-broken")},
    ),
    Scenario(
        "env-var-missing",
        "a variable that the app needs was removed, and the app deployed again",
        _remove_variable,
        {
            "site-down": (Status.CRITICAL, "env-var-missing"),
            "health-check": (Status.CRITICAL, "app-500"),
            "env-vars": (Status.CRITICAL, "env-var-missing"),
        },
    ),
)
