"""Ways in which rows come to be seen by those whom they do not belong to."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

# A table of each system that users see their own rows of, through the web API where there is one.
GUARDED = {
    "klutr": "notes",
    "kulti": "users",
    "voiceaitraining": "users",
    "your-app": "events",
    "your-backend": "user_profiles",
}
_WITH_API = tuple(system for system in GUARDED if system != "klutr")
_POLICY, _VIEW = "debug_all", "contact_list"


def _switch_off(world: World, system: str) -> None:
    _do(world, system, f"alter table {GUARDED[system]} disable row level security")


def _switch_on(world: World, system: str) -> None:
    _do(world, system, f"alter table {GUARDED[system]} enable row level security")


def _let_through(world: World, system: str) -> None:
    """Add the policy that somebody wrote to see whether policies are the trouble."""
    _do(world, system, f"create policy {_POLICY} on {GUARDED[system]} for select using (true)")


def _stop(world: World, system: str) -> None:
    _do(world, system, f"drop policy if exists {_POLICY} on {GUARDED[system]}")


def _show(world: World, system: str) -> None:
    """Make a view, which reads with the rights of its owner, and open it to everybody who signs in."""
    _do(world, system, f"create view {_VIEW} as select * from {GUARDED[system]}")
    _do(world, system, f"grant select on {_VIEW} to authenticated")


def _hide(world: World, system: str) -> None:
    _do(world, system, f"drop view if exists {_VIEW}")


def _do(world: World, system: str, statement: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(statement.encode())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "rls-off",
        "row security was switched off for a table of users' rows",
        _switch_off,
        {"rls-audit": (Status.CRITICAL, "rls-off")},
        systems=_WITH_API,
        heal=_switch_on,
    ),
    Scenario(
        "rls-permissive",
        "a policy with the condition `true` was left behind",
        _let_through,
        {"rls-audit": (Status.WARNING, "rls-permissive")},
        heal=_stop,
    ),
    Scenario(
        "rls-bypassed",
        "a view shows all rows of a guarded table to everybody who signs in",
        _show,
        {"rls-audit": (Status.WARNING, "rls-bypassed")},
        systems=_WITH_API,
        heal=_hide,
    ),
)
