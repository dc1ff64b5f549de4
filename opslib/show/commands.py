"""Commands as they are printed for people: each can be pasted into a shell as it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

_OPTIONS = (("system", "--system"), ("environment", "--env"))


def run(procedure: str, parameters: Mapping[str, Any], *, verb: str = "run") -> str:
    """Return the command that runs a procedure with these parameters.

    Args:
        procedure: its id.
        parameters: name -> value; `system` and `environment` become options.
        verb: `run`, or `plan`.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    words = ["opslib", verb, procedure]
    for name, option in _OPTIONS:
        if name in given:
            words += [option, str(given.pop(name))]
    for name, value in given.items():
        words += ["-p", f"{name}={_value(value)}"]
    return shlex.join(words)


def step(found: Mapping[str, Any]) -> str:
    """Return the command of a next step, as a run's document has it.

    Args:
        found: procedure, parameters, and `verb`: `plan` where the procedure can change something.
    """
    verb = "plan" if found.get("verb") == "plan" else "run"
    return run(str(found["procedure"]), found.get("parameters") or {}, verb=verb)


def _value(value: Any) -> str:
    """Return a value as `-p` reads it back."""
    if isinstance(value, bool):
        return str(value).lower()
    return _list([*map(str, value)]) if isinstance(value, list | tuple) else str(value)


def _list(names: list[str]) -> str:
    """Return names with commas between them, or as JSON where they would not come back the same."""
    text = ",".join(names)
    same = [part.strip() for part in text.split(",") if part.strip()] == names and not text.startswith("[")
    return text if same else json.dumps(names, ensure_ascii=False)
