"""A shelf of things that can be changed, two people with keys, and plans about the shelf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from opslib import config, ids, keys
from opslib.acts import Opening, Request
from opslib.archive.changes import Changes
from opslib.changes import Kind, Means
from opslib.gate import making, signing
from opslib.gate.apply import Applying
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Draft, Observed, Plan, Risk, Target
from opslib.gate.results import Result

SYSTEM = """title: Shop
owner: on-call
environments:
  production:
    base_url: https://shop.example
  staging:
    base_url: https://staging.shop.example
    production: false
"""
POLICY = """environments:
  production: {low: self, medium: self, high: other, maximum_targets: 5, undo_hours: 2}
  default: {low: none, medium: self, high: other}
"""
PEOPLE = ("ada", "bob")


class Shelf:
    """A vendor with a few values, which counts every write that reaches it.

    Args:
        values: name -> value.
    """

    def __init__(self, **values: str) -> None:
        self.values = dict(values)
        self.pending: set[str] = set()
        self.writes: list[str] = []
        self.answer: Callable[[str], None] = lambda name: None

    def act(self, opening: Opening) -> pd.DataFrame:
        """Carry out one act, as a vendor's client does."""
        act = opening.use()
        assert isinstance(act, Request)
        name = act.path.strip("/")
        self.writes.append(f"{name}={act.body['value']}")
        self.values[name] = act.body["value"]
        self.answer(name)
        return pd.DataFrame({"ok": [True]})

    def breaks(self, error: Exception, **values: str) -> None:
        """From now on end every write with an error, and with these values there."""

        def broken(name: str) -> None:
            self.values.update(values)
            raise error

        self.answer = broken


class ShelfKind(Kind):
    """Looks at a shelf."""

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = False
    PATIENCE_S: ClassVar[float] = 0.3

    def __init__(self, means: Means) -> None:
        self.shelf: Shelf = means.vendor("shelf")
        self.worry: Callable[[Target], str] = lambda target: ""

    def observe(self, target: Target) -> Observed:
        """Return the value that is there now."""
        name = str(target.identity["name"])
        if name not in self.shelf.values:
            return Observed({})
        return Observed({"value": self.shelf.values[name]}, name in self.shelf.pending)

    def watch(self, target: Target) -> str:
        """Return what the test worries about."""
        return self.worry(target)


class ChainedKind(ShelfKind):
    """A shelf on which each change builds on the one before."""

    CHAINED: ClassVar[bool] = True


def target(name: str, before: str, after: str, *, undo: bool = True) -> Target:
    """Return a target that sets one value of the shelf."""
    way_back = Request("shelf", "PUT", f"/{name}", body={"value": before}) if undo else None
    act = Request("shelf", "PUT", f"/{name}", body={"value": after})
    return Target(name, {"name": name}, {"value": before}, {"value": after}, act, way_back, "nothing")


def draft(*targets: Target, risk: Risk = Risk.MEDIUM) -> Draft:
    """Return a draft about the shelf."""
    return Draft("shelf", "Move things", targets, risk, "nobody notices", {"things": len(targets)})


@dataclass
class Office:
    """A project with two people, each with a home and a key of their own.

    Args:
        root: its folder.
        patch: how to become somebody.
        fingerprints: person -> public key.
    """

    root: Path
    patch: pytest.MonkeyPatch
    fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> Changes:
        """Where plans are kept."""
        return Changes(self.root / "archive")

    def become(self, person: str) -> None:
        """Work as one person from now on; "nobody" has no key, "stranger" one that nobody knows."""
        home = self.root / f"home-{person}"
        self.patch.setenv("OPSLIB_HOME", str(home))
        if person != "nobody" and not (home / "keys").exists():
            self.fingerprints[person] = keys.init(person).text

    def open(self) -> None:
        """Write the files, with the keys of all people in them."""
        systems = self.root / "parameters" / "systems"
        systems.mkdir(parents=True)
        (systems / "shop.yml").write_text(SYSTEM)
        (self.root / "parameters" / "policy.yml").write_text(POLICY)
        self.patch.setenv("OPSLIB_PARAMETERS", str(self.root / "parameters"))
        for person in PEOPLE:
            self.become(person)
        rows = [f'  - {{id: {p}, name: {p.title()}, keys: ["{self.fingerprints[p]}"]}}' for p in PEOPLE]
        (self.root / "parameters" / "people.yml").write_text("\n".join(["people:", *rows, ""]))
        self.become("ada")

    def env(self, name: str = "production") -> config.Environment:
        """Return an environment of the shop."""
        return config.load_system("shop").environment(name)

    def plan(self, made: Draft, env: str = "production", *, age: float = 0, **changed: Any) -> Plan:
        """Keep a plan, made so many minutes ago by whoever works now."""
        asked = making.Asked("shelving", "sha256:0", {}, self.env(env), "run-1")
        plan = replace(making.make(made, asked, datetime.now(UTC) - timedelta(minutes=age)), **changed)
        making.keep(plan, self.changes)
        return plan

    def approve(
        self, plan: Plan, *, minutes: float = 10, kept_for: str = "", **stated: Any
    ) -> dict[str, Any]:
        """Approve a plan as whoever works now, and return the signed document."""
        signer = keys.own()
        assert signer is not None
        until = ids.stamp(datetime.now(UTC) + timedelta(minutes=minutes))
        whole = {"system": plan.system, "environment": plan.environment, "break_glass": False} | stated
        document = signing.sign(
            signing.APPROVAL, plan.digest, signer, reason="because", expires_at=until, **whole
        )
        self.changes.add_approval(kept_for or plan.digest, document)
        return document

    def applying(
        self, plan: Plan, shelf: Shelf, kind: type[ShelfKind] = ShelfKind, *,
        worry: Callable[[Target], str] = lambda target: "", settle_only: bool = False,
    ) -> tuple[Result, ...]:  # fmt: skip
        """Carry a plan out."""
        means = Means(self.env(plan.environment), _no_database, lambda name: shelf, plan.draft.settings)
        looks = kind(means)
        looks.worry = worry
        ledger = Ledger(self.changes, plan.digest, "run-2")
        return Applying(plan, looks, means, ledger, settle_only=settle_only).run()


def _no_database() -> Any:
    raise AssertionError("a shelf has no database")
