"""What a scenario is: how to break one real part of the sandbox, and what must then be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.sandbox.databases import Databases
    from opslib.sandbox.web import Web


@dataclass
class World:
    """The real parts of one running sandbox, as a scenario meets them.

    Args:
        databases: the PostgreSQL clusters, one a system, with admin access.
        web: the apps, the vendors and the name server.
        held: what an active scenario keeps open (sessions, locks), by (scenario id, system).
    """

    databases: Databases
    web: Web
    held: dict[tuple[str, str], ExitStack] = field(default_factory=dict)

    def hold(self, scenario: str, system: str) -> ExitStack:
        """Return the stack on which `make` puts what it opens; `release` closes it."""
        return self.held.setdefault((scenario, system), ExitStack())

    def release(self, scenario: str, system: str) -> None:
        """Close everything that `make` put on its stack, last first."""
        self.held.pop((scenario, system), ExitStack()).close()


Act = Callable[[World, str], None]


@dataclass(frozen=True)
class Scenario:
    """One way to break the sandbox.

    Args:
        id: the cause id that procedures must name.
        text: what is broken, in a sentence.
        make: breaks the real part of one system.
        expects: procedure id -> (verdict, cause id or "") while the scenario is on.
        systems: systems that it can break; empty means all.
        heal: restores it exactly; None where releasing what `make` holds does.
    """

    id: str
    text: str
    make: Act
    expects: Mapping[str, tuple[Status, str]]
    systems: tuple[str, ...] = ()
    heal: Act | None = None

    def restore(self, world: World, system: str) -> None:
        """Restore what `make` broke."""
        if self.heal:
            self.heal(world, system)
        else:
            world.release(self.id, system)
