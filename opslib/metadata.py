"""What the metadata of a notebook must say, and of which type."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from opslib import parameters
from opslib.controls import THEMES
from opslib.errors import ConfigError

SEVERITIES = ("P0", "P1", "P2", "P3", "none")
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "title": str,
    "symptoms": list,
    "severity": str,
    "owner": str,
    "changes": bool,
    "needs": dict,
    "systems": (str, list),
    "minutes": (int, float),
    "idempotent": bool,
    "reviewed": str,
    "next": list,
}
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "controls": list,
    "cell_minutes": (int, float),
    "usual": dict,
}
KEYS = (*_REQUIRED, *_OPTIONAL)
_LONGEST = 24 * 60  # minutes


@dataclass(frozen=True)
class Needs:
    """What a procedure has to be able to look at.

    Args:
        database: the system's database.
        site: the system's own URLs.
        vendors: vendors whose API is asked; all of them.
        status_pages: at least one vendor's public status page.
        files: at least one bucket of files.
    """

    database: bool = False
    site: bool = False
    vendors: tuple[str, ...] = ()
    status_pages: bool = False
    files: bool = False


_NEEDS: dict[str, type] = {need.name: list if need.name == "vendors" else bool for need in fields(Needs)}


def check(path: Path, meta: Any) -> None:
    """Raise `ConfigError` with file and key unless the metadata of a notebook is right."""
    if not isinstance(meta, dict):
        raise ConfigError(f"{path}: metadata.opslib: not an object")
    for key in meta:
        if key not in KEYS:
            raise wrong(path, key, f"no such key{parameters.close(key, KEYS)}")
    for key, kind in (_REQUIRED | _OPTIONAL).items():
        if key in _REQUIRED and key not in meta:
            raise wrong(path, key, "missing")
        if key in meta and not _is(meta[key], kind):
            raise wrong(path, key, f"{meta[key]!r} is not of type {_kind(kind)}")
    for key in ("symptoms", "next"):
        if not all(isinstance(value, str) for value in meta[key]):
            raise wrong(path, key, "not a list of texts")
    if unknown := [name for name in meta.get("controls", ()) if name not in THEMES]:
        raise wrong(path, "controls", f"{unknown[0]!r} is not one of {', '.join(THEMES)}")
    if not _ID.fullmatch(meta["id"]) or meta["id"] != path.stem:
        raise wrong(path, "id", f"{meta['id']!r} is not the file's name, in small letters and dashes")
    if isinstance(meta["systems"], str) and meta["systems"] != "all":
        raise wrong(path, "systems", 'neither "all" nor a list')
    if meta["severity"] not in SEVERITIES:
        raise wrong(path, "severity", f"not one of {', '.join(SEVERITIES)}")
    longest = meta.get("cell_minutes", _LONGEST)
    if not 0 < longest <= _LONGEST:
        raise wrong(path, "cell_minutes", f"{longest!r} is no number above 0 and up to {_LONGEST}")
    for key, value in meta["needs"].items():
        if key not in _NEEDS:
            raise wrong(path, f"needs.{key}", f"no such need{parameters.close(key, _NEEDS)}")
        if not _is(value, _NEEDS[key]):
            raise wrong(path, f"needs.{key}", f"{value!r} is not of type {_kind(_NEEDS[key])}")


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    # bool is an int to Python, but `minutes: true` is a slip.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _kind(kind: type | tuple[type, ...]) -> str:
    return " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))


def wrong(path: Path, key: str, what: str) -> ConfigError:
    """Return the error that names the file and the key of its metadata."""
    return ConfigError(f"{path}: metadata.opslib.{key}: {what}", hint="mend the notebook's metadata")
