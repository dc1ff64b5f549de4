"""Whether what was read from a shared archive has the shape of a plan; the place proves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_TEXTS = (
    "type", "procedure", "notebook", "system", "environment", "kind", "title", "risk", "blast",
    "created_at", "expires_at", "run_id", "undoes",
)  # fmt: skip
_MAPPINGS = ("parameters", "settings", "planned_by")
_OF_TARGET = ("identity", "before", "after", "act")
_OF_REQUEST = ("source", "method", "path")


def check(found: Mapping[str, Any]) -> None:
    """See that every part of a plan is of its type.

    Args:
        found: the document.

    Raises:
        ValueError, KeyError: it is not; the message names the part.
    """
    for name in _TEXTS:
        _must(isinstance(found[name], str), name, "text")
    for name in _MAPPINGS:
        _must(isinstance(found[name], dict), name, "a mapping")
    _must(isinstance(found["production"], bool), "production", "true or false")
    _must(_all(found["numbers"], dict, int), "numbers", "a mapping of whole numbers")
    _must(_all(found["left_out"], dict, str), "left_out", "a mapping of texts")
    for name in ("not_undoable", "undo"):
        _must(_all(found[name], list, str), name, "a list of texts")
    _times(found)
    _must(_all(found["targets"], list, dict) and bool(found["targets"]), "targets", "a list of some")
    for target in found["targets"]:
        _target(target)
    names = [target["name"] for target in found["targets"]]
    _must(len(set(names)) == len(names), "the name of each target", "its own")


def _times(found: Mapping[str, Any]) -> None:
    moments = [datetime.fromisoformat(found[name]) for name in ("created_at", "expires_at")]
    _must(all(moment.tzinfo is not None for moment in moments), "created_at and expires_at", "with a zone")
    _must(moments[0] <= moments[1], "created_at", "before expires_at")


def _target(target: Mapping[str, Any]) -> None:
    for name in ("name", "effect"):
        _must(isinstance(target[name], str), f"{name} of a target", "text")
    _must(bool(target["name"].strip()), "name of a target", "not empty")
    for name in _OF_TARGET:
        _must(isinstance(target[name], dict), f"{name} of a target", "a mapping")
    for act in filter(None, (target["act"], target["undo"])):
        _act(act)


def _act(act: Mapping[str, Any]) -> None:
    _must(isinstance(act, dict) and isinstance(act["params"], dict), "params of an act", "a mapping")
    plain = next((name for name in ("statement", "work") if name in act), "")
    script = ("script", "script_name", "role") if "script" in act else ()
    for name in (plain, *script) if plain else _OF_REQUEST:
        _must(isinstance(act[name], str), f"{name} of an act", "text")


def _all(found: Any, outer: type[Any], inner: type[Any]) -> bool:
    if not isinstance(found, outer):
        return False
    parts: Iterable[Any] = found.values() if outer is dict else found
    return all(isinstance(part, inner) and (inner is not int or not isinstance(part, bool)) for part in parts)


def _must(holds: bool, what: str, shape: str) -> None:
    if not holds:
        raise ValueError(f"{what} must be {shape}")
