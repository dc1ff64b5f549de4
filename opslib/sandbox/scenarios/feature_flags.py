"""A feature that fails, rolled out to most: the flag is at fault, not the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.sandbox.simulators.posthog import PostHogApi

# Exactly three of any five requests, so that each look at a page sees the same share.
ROLLED_OUT = 60
FLAGS = {"klutr": "voice-notes", "your-app": "new-editor"}
_NAME = "bad-feature"
_COLUMNS = "enabled, kill_switch, rollout_percentage, updated_at"


def _roll_out_bad_code(world: World, system: str) -> None:
    flag = FLAGS[system]
    if system == "klutr":
        _widen_at_posthog(world, system, flag)
    else:
        _widen_in_the_database(world, system, flag)
    features = world.web.app(system).features
    features.spoil(_NAME, flag)
    world.hold(_NAME, system).callback(features.broken.pop, _NAME)


def _widen_at_posthog(world: World, system: str, flag: str) -> None:
    api = cast("PostHogApi", world.web.simulator("posthog"))
    world.hold(_NAME, system).callback(api.put, system, api.flag(system, flag))
    api.edit(system, flag, active=True, percent=ROLLED_OUT, by="colleague@example.com")


def _widen_in_the_database(world: World, system: str, flag: str) -> None:
    with world.databases.admin(system) as admin:
        query = f"select {_COLUMNS} from public.feature_flags where name = %s"
        before = admin.execute(query.encode(), [flag]).fetchone()
        world.hold(_NAME, system).callback(_put_back, world, system, flag, before)
        _set(admin, flag, (True, False, ROLLED_OUT, "now"))


def _put_back(world: World, system: str, flag: str, before: Any) -> None:
    with world.databases.admin(system) as admin:
        _set(admin, flag, before)


def _set(admin: object, flag: str, values: tuple[object, ...]) -> None:
    from psycopg import Connection

    places = "%s, %s, %s, %s::timestamptz"
    change = f"update public.feature_flags set ({_COLUMNS}) = ({places}) where name = %s"
    cast("Connection", admin).execute(change.encode(), [*values, flag])


SCENARIOS = (
    Scenario(
        _NAME,
        "a feature whose new code fails was rolled out further; every page uses it",
        _roll_out_bad_code,
        {
            "feature-flags": (Status.CRITICAL, _NAME),
            "health-check": (Status.CRITICAL, "app-500"),
            "site-down": (Status.CRITICAL, "app-500"),
        },
        tuple(FLAGS),
    ),
)
