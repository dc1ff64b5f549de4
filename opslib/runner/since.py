"""The part of a run's page that says what has changed since the last ok run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from opslib import catalog
from opslib.archive.diff import Change, Difference
from opslib.archive.since import Since
from opslib.errors import ConfigError, UnknownName
from opslib.runner.card import brief, clock
from opslib.show.differences import COLUMNS, SIGNS, by, name, value

SHOWN = 12
# What came of it first, then what may be why; the findings are many.
_ORDER = {"verdict": 0, "cause": 1, "changed": 2, "code": 3, "parameter": 4, "finding": 5}


def section(since: Since | None) -> str:
    """Return what has changed since the last ok run as HTML; nothing for a run that is ok itself.

    Args:
        since: None when the run is ok, or the archive could not be asked.
    """
    if since is None:
        return ""
    if not since.run_id:
        return _section("No earlier run here is known to be ok: nothing to compare it with.", "")
    lead = f"<b>Since the last ok</b>, {escape(clock(since.started_at))}"
    run = f'<small class="quiet">run {escape(since.run_id)}</small>'
    if since.difference is None:
        return _section(f"{lead}: its record cannot be read any more. {escape(brief(since.fault))}", run)
    given = _as_declared(since.difference)
    told = [change for change in since.difference.told if change not in given]
    if not told and not since.difference.moved:
        return _section(f"{lead}: nothing differs but times and ids.", run)
    changes = sorted(told, key=lambda change: _ORDER.get(change.part, 0))
    moved = _folded(since.difference.moved, "moved")
    more = _folded(changes[SHOWN:], "more changed")
    return _section(f"{lead} {run}", f"{table(changes[:SHOWN])}{more}{moved}")


def _as_declared(difference: Difference) -> list[Change]:
    """Return the parameters that one run was given and the other not, and that are the same in both.

    A run that applies a plan is given all of them, one by hand only what somebody typed.
    """
    names = {str(side["procedure"]) for side in (difference.before, difference.after)}
    given = [change for change in difference.told if change.part == "parameter"]
    if not given or len(names) != 1:
        return []
    try:
        declared = catalog.load().get(names.pop()).parameters
    except (UnknownName, ConfigError):  # an archive is also read where the notebooks are not
        return []
    defaults = {parameter.name: parameter.default for parameter in declared}
    alone = [change for change in given if None in (change.before, change.after)]
    return [one for one in alone if one.name in defaults and _given(one) == defaults[one.name]]


def _given(change: Change) -> Any:
    return change.after if change.before is None else change.before


def table(changes: Sequence[Change]) -> str:
    """Return what differs as a table; nothing where nothing does."""
    if not changes:
        return ""
    head = "".join(f'<th scope="col">{word}</th>' for word in COLUMNS)
    rows = "".join(_row(change) for change in changes)
    whole = f'<table class="changes"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="scroll">{whole}</div>'


def _section(lead: str, body: str) -> str:
    return f'<section class="since" aria-label="Since the last ok"><p>{lead}</p>{body}</section>'


def _folded(changes: Sequence[Change], words: str) -> str:
    if not changes:
        return ""
    one = "value" if words == "moved" else "fact"
    lead = f"{len(changes)} {one}{'' if len(changes) == 1 else 's'} {words}"
    return f"<details><summary>{lead}</summary>{table(changes)}</details>"


def _row(change: Change) -> str:
    moved = f" <small>{escape(by(change))}</small>" if by(change) else ""
    sign = f'<span class="kind" aria-hidden="true">{SIGNS[change.kind]}</span>'
    cells = (
        f"<td>{sign}{escape(brief(name(change)))}</td>",
        f"<td>{escape(brief(value(change.before), 300))}</td>",
        f"<td>{escape(brief(value(change.after), 300))}{moved}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"
