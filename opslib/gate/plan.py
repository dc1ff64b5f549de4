"""What is to be changed: literal targets, what was seen, what it will be, and how to go back.

A planner (in `opslib.changes`) drafts it from what the procedure has observed. `Plan` adds who
asked where and until when; its digest covers all of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import rfc8785

from opslib import acts
from opslib.acts import Act

Values = Mapping[str, Any]  # text, whole numbers, booleans, None; lists and mappings of these


class Risk(StrEnum):
    """How much can go wrong; `policy.yml` says per environment what each needs."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    BREAK_GLASS = "break-glass"


@dataclass(frozen=True)
class Target:
    """One thing that will be changed, literally.

    Args:
        name: what a person calls it; unique in its plan.
        identity: what makes it this one and no other.
        before: what was observed; where this no longer holds, the target is left out.
        after: what will be observed once it is done.
        act: exactly what will be done.
        undo: exactly what brings it back; None where nothing does.
        effect: what users notice, in a sentence.
    """

    name: str
    identity: Values
    before: Values
    after: Values
    act: Act
    undo: Act | None = None
    effect: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The target as JSON has it."""
        return {
            "name": self.name,
            "identity": dict(self.identity),
            "before": dict(self.before),
            "after": dict(self.after),
            "act": acts.to_dict(self.act),
            "undo": acts.to_dict(self.undo) if self.undo else None,
            "effect": self.effect,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Target:
        """Return the target that `to_dict` wrote."""
        undo = acts.from_dict(found["undo"]) if found["undo"] else None
        kept = {name: found[name] for name in ("name", "identity", "before", "after", "effect")}
        return cls(**kept, act=acts.from_dict(found["act"]), undo=undo)

    @property
    def digest(self) -> str:
        """SHA-256 over the whole target."""
        return digest_of(self.to_dict())

    def reversed(self) -> Target | None:
        """Return the target that brings this one back, or None where nothing does."""
        if self.undo is None:
            return None
        name = f"{self.name}, back"
        return Target(name, self.identity, self.after, self.before, self.undo, self.act, "")


@dataclass(frozen=True)
class Draft:
    """What a planner proposes.

    Args:
        kind: the kind of change, a module of `opslib.changes`.
        title: what will be done, in a sentence.
        targets: in the order in which they will be done.
        risk: how much can go wrong.
        blast: what users notice altogether, in a sentence.
        numbers: the same in figures: name -> whole number.
        not_undoable: what cannot be brought back, in sentences.
        undo: how it can be brought back, in sentences.
        left_out: what looked like a target and is none: name -> why.
        settings: what the kind needs while it works (limits to watch, say); covered by the digest.
    """

    kind: str
    title: str
    targets: tuple[Target, ...]
    risk: Risk
    blast: str
    numbers: Mapping[str, int] = field(default_factory=dict)
    not_undoable: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    settings: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """What one target is now.

    Args:
        values: the same names as in the target's `before` and `after`; empty when it is gone.
        pending: the change is under way and not finished.
        text: what was seen, for a person.
    """

    values: Values
    pending: bool = False
    text: str = ""

    def fits(self, expected: Values) -> bool:
        """Tell whether everything expected holds now."""
        missing = object()
        return all(self.values.get(name, missing) == value for name, value in expected.items())


def digest_of(document: Any) -> str:
    """Return SHA-256 over the canonical JSON (RFC 8785) of a document."""
    return f"sha256:{hashlib.sha256(rfc8785.dumps(document)).hexdigest()}"
