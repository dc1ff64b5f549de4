"""What is to be changed: literal targets, what was seen, what it will be, and how to go back.

A planner (in `opslib.changes`) drafts it from what the procedure has observed. `Plan` adds who
asked where and until when; its digest covers all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from opslib import acts
from opslib.acts import Act
from opslib.archive.changes import digest_of
from opslib.errors import ArchiveError
from opslib.gate import reading

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

    @property
    def place(self) -> str:
        """SHA-256 over the identity: the same for a target and for its way back."""
        return digest_of(dict(self.identity))

    def reversed(self) -> Target | None:
        """Return the target that brings this one back, or None where nothing does."""
        if self.undo is None:
            return None
        return Target(self.name, self.identity, self.after, self.before, self.undo, self.act)


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
        failed: the change was begun there, and did not work; waiting longer would not help.
        partly: of a change in steps some are done, and nothing else is different: it can go on from here.
        unmarked: whether it was done earlier cannot be seen any more; doing it again does no harm.
    """

    values: Values
    pending: bool = False
    text: str = ""
    failed: bool = False
    partly: bool = False
    unmarked: bool = False

    def fits(self, expected: Values) -> bool:
        """Tell whether everything expected holds now."""
        missing = object()
        return all(self.values.get(name, missing) == value for name, value in expected.items())


TYPE = "https://opslib.dev/plan/v0.1"


@dataclass(frozen=True)
class Plan:
    """A draft with who, where and until when: what is approved.

    Args:
        procedure: id of the procedure that made it.
        notebook: SHA-256 over the code of its notebook.
        parameters: the procedure's own parameters, without dry_run and approval.
        system, environment: where.
        production: real users are there.
        draft: what is to be done.
        created_at, expires_at: RFC 3339; nothing is begun after the second.
        planned_by: user, host, and the public key where there is one.
        run_id: the run that observed it.
        undoes: digest of the plan that this one takes back, or nothing.
    """

    procedure: str
    notebook: str
    parameters: Values
    system: str
    environment: str
    production: bool
    draft: Draft
    created_at: str
    expires_at: str
    planned_by: Values
    run_id: str
    undoes: str = ""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The plan as JSON has it: all of it is under the digest."""
        draft = self.draft
        return {
            "type": TYPE,
            "procedure": self.procedure,
            "notebook": self.notebook,
            "parameters": dict(self.parameters),
            "system": self.system,
            "environment": self.environment,
            "production": self.production,
            "kind": draft.kind,
            "title": draft.title,
            "targets": [target.to_dict() for target in draft.targets],
            "risk": str(draft.risk),
            "blast": draft.blast,
            "numbers": dict(draft.numbers),
            "not_undoable": list(draft.not_undoable),
            "undo": list(draft.undo),
            "left_out": dict(draft.left_out),
            "settings": dict(draft.settings),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "planned_by": dict(self.planned_by),
            "run_id": self.run_id,
            "undoes": self.undoes,
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return digest_of(self.document)

    @property
    def short(self) -> str:
        """The beginning of the digest, as people type it."""
        return self.digest.removeprefix("sha256:")[:12]

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.created_at)

    @property
    def expires(self) -> datetime:
        """When it ends."""
        return datetime.fromisoformat(self.expires_at)

    @classmethod
    def from_document(cls, found: Mapping[str, Any]) -> Plan:
        """Return the plan that `document` is.

        Raises:
            ArchiveError: it is no plan of this version.
        """
        try:
            if found["type"] != TYPE:
                raise ArchiveError(f"a plan of the type {found['type']} cannot be read here")
            own = (
                "procedure", "notebook", "parameters", "system", "environment", "production",
                "created_at", "expires_at", "planned_by", "run_id", "undoes",
            )  # fmt: skip
            reading.check(found)
            made = cls(**{name: found[name] for name in own}, draft=_draft(found))
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"the plan is not whole: {error}", hint="plan again") from error
        if made.digest != digest_of(found):
            raise ArchiveError("the plan holds more than a plan does", hint="plan again")
        return made


def _draft(found: Mapping[str, Any]) -> Draft:
    plain = ("kind", "title", "blast", "numbers", "left_out", "settings")
    return Draft(
        **{name: found[name] for name in plain},
        targets=tuple(Target.from_dict(target) for target in found["targets"]),
        risk=Risk(found["risk"]),
        not_undoable=tuple(found["not_undoable"]),
        undo=tuple(found["undo"]),
    )
