"""Values of a plan in words; the plan itself holds them literally."""

from __future__ import annotations

import re
from typing import Any

from opslib.gate.plan import Target, Values

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*(?:Z|[+-]\d\d:\d\d)")


def words(values: Values) -> str:
    """Return values in one line: `running, state active, state change 11:43:17`; empty ones are left out."""
    return ", ".join(filter(None, (_word(name.replace("_", " "), value) for name, value in values.items())))


def change(target: Target) -> str:
    """Return what changes: `running -> not running`."""
    was = {name: target.before[name] for name in target.after if name in target.before}
    return f"{words(was) or words(target.before) or 'nothing'}  ->  {words(target.after)}"


def seen(target: Target) -> str:
    """Return what else was seen and must still be so."""
    return words({name: value for name, value in target.before.items() if name not in target.after})


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"not {name}"
    if value is None or value == "":
        return ""
    return f"{name} {_MOMENT.sub(lambda found: found[1], str(value))}"
