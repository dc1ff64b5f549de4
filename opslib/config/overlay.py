"""Where the sandbox that is up can be found: `$OPSLIB_HOME/sandbox/state.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opslib.errors import ConfigError
from opslib.home import home

DOOR_ROLES = {"direct": "monitor", "session": "session", "pooler": "pooler"}


@dataclass(frozen=True)
class State:
    """What the sandbox's daemon wrote about itself.

    Args:
        databases: system -> role or door -> address.
        operators: system -> address by which approved changes go in.
        sites: system -> address of its site.
        vendors, status_pages: vendor -> address.
        resolver: `host:port` of its name server.
        settings: vendor -> what its simulated API must be told.
        targets: system -> name -> address of a database that a backup may be restored into.
        backups: where the backups of its databases are kept.
        copies: where the copies of its buckets are kept.
        limits: limit -> warning and critical, where nobody can wait as long as in production.
    """

    databases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    operators: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)
    vendors: Mapping[str, str] = field(default_factory=dict)
    status_pages: Mapping[str, str] = field(default_factory=dict)
    resolver: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    backups: Path | None = None
    copies: Path | None = None

    def site(self, system: str) -> str | None:
        """Return the address of a system's site, without the last slash."""
        found = self.sites.get(system)
        return found.rstrip("/") if found else None

    def doors(self, system: str) -> dict[str, str]:
        """Return door -> address; diagnosis goes in as the monitoring role."""
        given = self.databases.get(system, {})
        return {door: given[role] for door, role in DOOR_ROLES.items() if given.get(role)}

    def vendor_settings(self, vendor: str, system: str) -> tuple[dict[str, str], str | None]:
        """Return a vendor's settings for one system, and its token."""
        given = {
            key: value.get(system) if isinstance(value, dict) else value
            for key, value in self.settings.get(vendor, {}).items()
        }
        token = given.pop("token", None)
        return {key: str(value) for key, value in given.items() if value is not None}, token


def state_file() -> Path:
    """Return where the state is, whether or not it exists."""
    return home() / "sandbox" / "state.json"


def state() -> State | None:
    """Return the state of the sandbox that is up; None when none is.

    A file whose process is gone does not count: its ports may belong to somebody else by now.

    Raises:
        ConfigError: the file cannot be read or is not what the daemon writes.
    """
    try:
        path = state_file()
        data = json.loads(path.read_text(encoding="utf-8"))
        return _state(data) if _alive(int(data["pid"])) else None
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        hint = "OPSLIB_HOME must be a folder that is yours"
        raise ConfigError(f"{error.filename}: cannot be used: {reason}", hint=hint) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        hint = "`opslib sandbox down` removes it, `up` writes it anew"
        raise ConfigError(f"{state_file()}: is not what the sandbox writes", hint=hint) from None


def _state(data: dict[str, Any]) -> State:
    return State(
        databases=dict(data.get("databases") or {}),
        operators=dict(data.get("operators") or {}),
        sites={**(data.get("apps") or {}), **(data.get("names") or {})},
        vendors=dict(data.get("vendors") or {}),
        status_pages=dict(data.get("status_pages") or {}),
        resolver=data.get("resolver") or None,
        settings=dict(data.get("vendor_settings") or {}),
        limits=dict(data.get("limits") or {}),
        targets=dict(data.get("targets") or {}),
        backups=Path(data["backups"]) if data.get("backups") else None,
        copies=Path(data["copies"]) if data.get("copies") else None,
    )


def _alive(pid: int) -> bool:
    if pid <= 0:  # to the kernel these are groups, not processes
        raise ValueError(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
