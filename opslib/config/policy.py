"""`parameters/policy.yml`: who must agree to a change, by environment and risk, and within which bounds.

What the file leaves out is the strictest that makes sense: another person for everything, and
break-glass for what can take a system down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from opslib.config.fields import Part
from opslib.config.hours import Hours, HoursText
from opslib.config.loader import list_systems, load_system, parameters_folder
from opslib.config.model import SANDBOX
from opslib.config.source import Document, read
from opslib.config.validate import close, validated
from opslib.errors import Refused

if TYPE_CHECKING:
    from opslib.config.environment import Environment

FILE = "policy.yml"
PRODUCTION, DEFAULT = "production", "default"
BREAK_GLASS = "break-glass"

# What holds in the sandbox, where nobody can be hurt, unless the file says otherwise.
_REHEARSAL = {"low": "none", "medium": "self", "high": "self", "maximum_targets": 1000}

Need = Literal["none", "self", "other", "break-glass"]
Minutes = Annotated[int, Field(strict=True, ge=1, le=24 * 60)]


class _Allowed(Part):
    """Hours by risk; break-glass has none, as a fix at 3 am must remain possible."""

    low: HoursText = Hours()
    medium: HoursText = Hours()
    high: HoursText = Hours()


class Bounds(Part):
    """What holds in one environment.

    Args:
        low, medium, high, break_glass: what a change of that risk needs.
        expires_minutes: how long a plan may be approved and begun.
        approval_minutes: how long an approval holds.
        maximum_targets: how many things one plan may change.
        undo_hours: how long a change can be taken back by `opslib undo`.
        hours: risk -> when it may be begun; none named means at any time.
    """

    low: Need = "other"
    medium: Need = "other"
    high: Need = "other"
    break_glass: Need = Field(default="break-glass", alias="break-glass")
    expires_minutes: Minutes = 30
    approval_minutes: Minutes = 30
    maximum_targets: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 50
    undo_hours: Annotated[int, Field(strict=True, ge=1, le=30 * 24)] = 24
    hours: _Allowed = _Allowed()


class _File(Part):
    """The file."""

    environments: dict[str, Bounds] = Field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """What one change must keep to.

    Args:
        environment: which part of the file it comes from.
        risk: low, medium, high or break-glass.
        need: none, self, other (somebody else than who asked), break-glass (a reason now, a review after).
        expires_minutes, approval_minutes, maximum_targets, undo_hours: as in the file.
        hours: when it may be begun, as text; empty means at any time.
    """

    environment: str
    risk: str
    need: Need
    expires_minutes: int
    approval_minutes: int
    maximum_targets: int
    undo_hours: int
    hours: str = ""
    _hours: Hours = field(default=Hours(), repr=False)

    def open_at(self, now: datetime) -> bool:
        """Tell whether a moment lies within the hours."""
        return self._hours.open_at(now)


@dataclass(frozen=True)
class Policy:
    """All rules.

    Args:
        bounds: name of an environment -> what holds there.
    """

    bounds: Mapping[str, Bounds] = field(default_factory=dict)

    def rule(self, environment: Environment, risk: str) -> Rule:
        """Return what a change must keep to.

        Args:
            environment: where it happens.
            risk: low, medium, high or break-glass.

        Raises:
            Refused: there is no such risk.
        """
        name = self._part(environment)
        bounds = self.bounds.get(name) or Bounds.model_validate(_REHEARSAL if name == SANDBOX else {})
        hours: Hours = getattr(bounds.hours, risk, Hours())
        return Rule(
            environment=name,
            risk=risk,
            need=_need(bounds, risk),
            expires_minutes=bounds.expires_minutes,
            approval_minutes=bounds.approval_minutes,
            maximum_targets=bounds.maximum_targets,
            undo_hours=bounds.undo_hours,
            hours=hours.text,
            _hours=hours,
        )

    def _part(self, environment: Environment) -> str:
        if environment.name in self.bounds or environment.name == SANDBOX:
            return environment.name
        return PRODUCTION if environment.production else DEFAULT


def _need(bounds: Bounds, risk: str) -> Need:
    needs: Mapping[str, Need] = {
        "low": bounds.low,
        "medium": bounds.medium,
        "high": bounds.high,
        BREAK_GLASS: bounds.break_glass,
    }
    if risk not in needs:
        raise Refused(f"parameters/{FILE} knows no risk {risk!r}", hint=f"there is: {', '.join(needs)}")
    return needs[risk]


def load_policy(root: Path | None = None) -> Policy:
    """Read and check the rules; without a file the strictest hold.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        ConfigError: the file is wrong.
    """
    path = parameters_folder(root) / FILE
    if not path.exists():
        return Policy()
    document = _with_rehearsal(read(path))
    bounds = validated(_File, document).environments
    for name in bounds:
        _must_be_known(name, document, path.parent)
        _must_keep_the_glass(name, bounds[name], document)
    return Policy(bounds)


def _with_rehearsal(document: Document) -> Document:
    """Give the sandbox the values that its part leaves out."""
    parts = document.data.get("environments")
    if not isinstance(parts, dict) or not isinstance(parts.get(SANDBOX), dict):
        return document
    full = {**parts, SANDBOX: {**_REHEARSAL, **parts[SANDBOX]}}
    return Document(document.path, {**document.data, "environments": full}, document.lines)


def _must_be_known(name: str, document: Document, root: Path) -> None:
    """Refuse a name that nothing has: its rules would never hold, and nobody would notice."""
    if name in (SANDBOX, PRODUCTION, DEFAULT):
        return
    systems = (load_system(system, root) for system in list_systems(root))
    known = {SANDBOX, PRODUCTION, DEFAULT, *(own for system in systems for own in system.environments)}
    if name not in known:
        guess = close(name, sorted(known))
        hint = f"did you mean {guess}?" if guess else f"there is: {', '.join(sorted(known))}"
        raise document.error(("environments", name), "no system has an environment of this name", hint)


def _must_keep_the_glass(name: str, bounds: Bounds, document: Document) -> None:
    if name != SANDBOX and bounds.break_glass in ("none", "self"):
        raise document.error(
            ("environments", name, BREAK_GLASS),
            "what can take a system down needs `break-glass` or `other`",
            "only the sandbox may do with less",
        )
