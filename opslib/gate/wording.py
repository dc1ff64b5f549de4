"""Values of a plan in words; the plan itself holds them literally."""

from __future__ import annotations

import re
from typing import Any

from opslib.gate.plan import Target, Values

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*(Z|[+-]\d\d:\d\d)")
_UTC = ("Z", "+00:00", "-00:00")


def moments(text: str) -> str:
    """Return a text with its RFC 3339 moments as people write them: `2026-11-22 15:04:48 UTC`."""
    return _MOMENT.sub(_moment, text)


def words(values: Values) -> str:
    """Return values in one line: `running, state active, since 2026-11-22 11:43:17 UTC`; no empty ones."""
    return ", ".join(filter(None, (_word(name.replace("_", " "), value) for name, value in values.items())))


def change(target: Target) -> str:
    """Return what changes, and nothing that stays: `running -> not running`."""
    names = _changing(target)
    was = {name: target.before[name] for name in names if name in target.before}
    becomes = {name: target.after[name] for name in names}
    return f"{words(was or target.before) or 'nothing'}  ->  {words(becomes) or 'nothing'}"


def seen(target: Target) -> str:
    """Return what else was seen and must still be so."""
    names = _changing(target)
    return words({name: value for name, value in target.before.items() if name not in names})


def _changing(target: Target) -> list[str]:
    """Return the values that will be others; all that will be observed where none will be."""
    other = [n for n, value in target.after.items() if n not in target.before or target.before[n] != value]
    return other or list(target.after)


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"not {name}"
    if value is None or value == "":
        return ""
    return f"{name} {moments(str(value))}"


def _moment(found: re.Match[str]) -> str:
    day, time, zone = found.groups()
    return f"{day} {time} {'UTC' if zone in _UTC else zone}"
