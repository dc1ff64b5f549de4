"""Read the typed result of a notebook, which only counts if it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opslib.archive.record import RESULTS
from opslib.verdict import FINDING_COLUMNS, Status

RUN_MIME = "application/vnd.opslib.run+json"
UNREACHED = "the notebook ended without reaching its verdict"

Json = Mapping[str, Any]


def read(notebook: Json) -> tuple[dict[str, Any], str]:
    """Return the last typed result of an executed notebook, and what is wrong with it.

    Args:
        notebook: plain JSON, nbformat 4.

    Returns:
        The result and an empty text; or an empty dict and a sentence, if it never came or cannot be read.
    """
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    found = [output["data"][RUN_MIME] for output in outputs if RUN_MIME in output.get("data", {})]
    if not found:
        return {}, UNREACHED
    fault = _fault(found[-1])
    return ({}, f"the notebook's result cannot be read: {fault}") if fault else (dict(found[-1]), "")


def _fault(result: Any) -> str:
    """Return why a result cannot be read, or an empty text."""
    if not isinstance(result, dict):
        return "it is not an object"
    if result.get("verdict") not in RESULTS:
        return f"its verdict {result.get('verdict')!r} is none of {', '.join(RESULTS)}"
    lists = {name: result.get(name, []) for name in ("findings", "causes", "next", "calls", "changed")}
    wrong = [name for name, rows in lists.items() if not isinstance(rows, list)]
    if wrong:
        return f"{wrong[0]} is not a list"
    cause = result.get("cause")
    checks = (
        ("a finding", lists["findings"], _is_finding),
        ("a cause", [*lists["causes"], *([] if cause is None else [cause])], _is_cause),
        ("a next step", lists["next"], _is_step),
        ("a call", lists["calls"], _is_call),
    )
    return next((f"{what} is not whole" for what, rows, whole in checks if not all(map(whole, rows))), "")


def _is_finding(row: Any) -> bool:
    known = isinstance(row, dict) and all(isinstance(row.get(name), str) for name in FINDING_COLUMNS)
    return known and row["status"] in set(Status)


def _is_cause(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(name), str) for name in ("id", "text"))


def _is_step(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("procedure"), str)
        and isinstance(row.get("parameters") or {}, dict)
    )


def _is_call(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("ms") or 0, int | float)
