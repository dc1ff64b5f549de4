"""Two rehearsed hosts in this process, with a clock that a test moves on, and plans about them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from opslib import config, frames
from opslib.archive.changes import Changes
from opslib.changes import Means
from opslib.changes.deployment import Deployments, draft
from opslib.checks import rollback
from opslib.checks.rollback import Seen
from opslib.checks.rollback_choice import Choice
from opslib.config import Environment, Secret, VendorAccess
from opslib.gate.apply import Applying
from opslib.gate.ledger import Ledger
from opslib.gate.making import Asked, make
from opslib.gate.plan import Plan
from opslib.gate.results import Result
from opslib.ids import now
from opslib.sandbox.web import Web
from opslib.vendors.railway import Railway
from opslib.vendors.vercel import Vercel
from opslib.verdict import Cause

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class NoDatabases:
    """Databases that are all gone, which is enough to serve the web around them."""

    port: int
    systems: Sequence[str]

    def dsn(self, system: str, role: str) -> str:
        """Return an address where nobody listens."""
        return f"postgresql://app_{system}:x@127.0.0.1:{self.port}/{system}"


@dataclass
class Clock:
    """A clock that stands still until it is moved on."""

    ms: int = 1_800_000_000_000

    def __call__(self) -> int:
        """Return the time, milliseconds since 1970."""
        return self.ms

    def wait(self, ms: int) -> None:
        """Let time go by."""
        self.ms += ms


@dataclass
class Hosts:
    """The rehearsed hosts, and an archive for plans about them.

    Args:
        web: apps and vendors.
        archive: folder for plans and ledgers.
        applied: how many plans were applied.
    """

    web: Web
    archive: Path
    applied: int = field(default=0)

    def access(self, vendor: str, system: str) -> VendorAccess:
        """Return the access to a vendor for one system."""
        given = self.web.vendor_settings[vendor].items()
        own = {name: value[system] if isinstance(value, dict) else value for name, value in given}
        token = Secret.literal(f"{vendor}-token", own.pop("token"))
        return VendorAccess(vendor, self.web.vendors[vendor], "", "none", (), own, token)

    def env(self, system: str) -> Environment:
        """Return a system's environment with the addresses of this process."""
        names = [name for name in ("vercel", "railway") if system in self._known(name)]
        return Environment(
            system=config.load_system(system, ROOT / "parameters"),
            name="sandbox",
            base_url=self.web.names[system],
            doors=(),
            vendors={name: self.access(name, system) for name in names},
            limits={},
            production=False,
            resolver=self.web.resolver,
        )

    def vercel(self, system: str = "klutr") -> Vercel:
        """Return a client of the rehearsed Vercel."""
        return Vercel(self.access("vercel", system), resolver=self.web.resolver)

    def railway(self, system: str = "your-backend") -> Railway:
        """Return a client of the rehearsed Railway."""
        return Railway(self.access("railway", system), resolver=self.web.resolver)

    def seen(self, system: str = "klutr", host: str = "auto") -> Seen:
        """Look at both hosts, and neither at the site nor at the deployments' own addresses."""
        env, none = self.env(system), frames.unavailable((), "nobody looked")
        absent = frames.unavailable((), "no such vendor", absent=True)
        client = self.vercel(system)
        railway = self.railway(system).deployments(20) if "railway" in env.vendors else absent
        return Seen(env, none, client.deployments(20), none, client.project(), railway, host)

    def choice(self, *causes: Cause, system: str = "klutr", to: str = "", host: str = "auto") -> Choice:
        """Choose as the procedure does."""
        named: list[pd.DataFrame] = [self.vercel(system).deployment(to)]
        return rollback.choose(self.seen(system, host), causes, to=to, named=named)

    def plan(self, choice: Choice, system: str = "klutr") -> Plan:
        """Return the plan of a choice."""
        made = draft(choice, self.env(system))
        assert made is not None, choice.why
        return make(made, Asked("rollback", "sha256:0", {}, self.env(system), "run-1"), now())

    def apply(self, plan: Plan, patience_s: float = 10.0) -> Result:
        """Carry a plan out, as the gate does."""
        env = self.env(plan.system)
        clients = {"vercel": self.vercel, "railway": self.railway}
        means = Means(env, _no_database, lambda name: clients[name](plan.system), plan.draft.settings)
        changes = Changes(self.archive)
        changes.keep(plan.document)
        self.applied += 1
        ledger = Ledger(changes, plan.digest, f"run-{self.applied}")
        kind = type("Impatient", (Deployments,), {"PATIENCE_S": patience_s})
        (result,) = Applying(plan, kind(means), means, ledger).run()
        return result

    def writes(self, vendor: str) -> list[int]:
        """Return the status of each act that arrived at a vendor."""
        address = f"{self.web.vendors[vendor]}/rehearsal/writes"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return [int(write["status"]) for write in json.load(answer)]

    def _known(self, vendor: str) -> dict[str, Any]:
        return dict(self.web.vendor_settings[vendor].get("project", {}))


def _no_database() -> Any:
    raise AssertionError("a host has no database")
