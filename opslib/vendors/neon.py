"""Neon: one project, its branches, their computes and its snapshots. Reads only.

Neon keeps no daily backups. It keeps a history of all changes for as long as
`history_retention_seconds` says, and a branch can begin at any moment of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import pandas as pd

from opslib.errors import Malformed
from opslib.vendors.base import VendorClient

PROJECT = ("id", "name", "region", "version", "history_seconds", "created")
BRANCHES = (
    "id", "name", "parent", "parent_time", "default", "protected", "state", "pending", "bytes", "created",
    "expires",
)  # fmt: skip
ENDPOINTS = ("id", "branch", "host", "type", "state")
SNAPSHOTS = ("id", "name", "branch", "manual", "created", "expires")
_PAGE = 1000


class Neon(VendorClient):
    """Reads one Neon project.

    Args:
        access: setting `project`, its id; the token is an API key that sees this project.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str] = "neon"
    API: ClassVar[str] = "https://console.neon.tech/api/v2"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "project": PROJECT,
        "branches": BRANCHES,
        "endpoints": ENDPOINTS,
        "snapshots": SNAPSHOTS,
        "probe": ("ok", "account", "detail"),
    }

    def project(self) -> pd.DataFrame:
        """Return the project; columns `PROJECT`, one row. history_seconds is how far back a branch can begin.

        Raises:
            SourceError: Neon could not be asked.
        """
        answer = self._client.get(self._path()).json
        found = answer.get("project") if isinstance(answer, dict) else None
        if not isinstance(found, dict) or not isinstance(found.get("history_retention_seconds"), int):
            raise Malformed("neon answered without a project and its history")
        row = {
            "id": str(found.get("id", "")),
            "name": str(found.get("name", "")),
            "region": str(found.get("region_id", "")),
            "version": int(found.get("pg_version") or 0),
            "history_seconds": int(found["history_retention_seconds"]),
            "created": _moment(found.get("created_at")),
        }
        return pd.DataFrame([row], columns=list(PROJECT))

    def branches(self) -> pd.DataFrame:
        """Return all branches; columns `BRANCHES`, times in UTC.

        parent_time is the moment of the parent that the branch began at, NaT where it began at no
        chosen one; pending is the state that it is on the way to, "" for none; bytes is the logical
        size, 0 where Neon has not measured it.

        Raises:
            SourceError: Neon could not be asked.
        """
        pages = self._client.pages(self._path("/branches"), {"limit": _PAGE}, _next_page)
        rows = [_branch(entry) for page in pages for entry in _entries(page, "branches")]
        return pd.DataFrame(rows, columns=list(BRANCHES))

    def endpoints(self) -> pd.DataFrame:
        """Return the computes; columns `ENDPOINTS`: branch is the id of the branch that each serves."""
        found = _entries(self._client.get(self._path("/endpoints")).json, "endpoints")
        renamed = {
            "id": "id",
            "branch": "branch_id",
            "host": "host",
            "type": "type",
            "state": "current_state",
        }
        rows = [{name: str(entry.get(key, "")) for name, key in renamed.items()} for entry in found]
        return pd.DataFrame(rows, columns=list(ENDPOINTS))

    def snapshots(self) -> pd.DataFrame:
        """Return the snapshots; columns `SNAPSHOTS`, times in UTC. They outlive the history."""
        found = _entries(self._client.get(self._path("/snapshots")).json, "snapshots")
        return pd.DataFrame([_snapshot(entry) for entry in found], columns=list(SNAPSHOTS))

    def probe(self) -> pd.DataFrame:
        """Read the project: proves token and project at once."""
        row = self.project().iloc[0]
        detail = f"history of {row['history_seconds'] / 3600:g} h"
        return pd.DataFrame([{"ok": True, "account": row["id"], "detail": detail}])

    def _path(self, rest: str = "") -> str:
        return f"/projects/{quote(self._project, safe='')}{rest}"


def _next_page(page: Any) -> dict[str, str] | None:
    following = (page.get("pagination") or {}).get("next") if isinstance(page, dict) else None
    # The cursor of the last page leads to an empty one.
    return {"cursor": str(following)} if following and page.get("branches") else None


def _entries(page: Any, key: str) -> list[dict[str, Any]]:
    entries = page.get(key) if isinstance(page, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "id" in e for e in entries):
        raise Malformed(f"neon answered without a list of {key}")
    return entries


def _branch(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(entry["id"]),
        "name": str(entry.get("name", "")),
        "parent": str(entry.get("parent_id") or ""),
        "parent_time": _moment(entry.get("parent_timestamp")),
        "default": bool(entry.get("default")),
        "protected": bool(entry.get("protected")),
        "state": str(entry.get("current_state", "")),
        "pending": str(entry.get("pending_state") or ""),
        "bytes": int(entry.get("logical_size") or 0),
        "created": _moment(entry.get("created_at")),
        "expires": _moment(entry.get("expires_at")),
    }


def _snapshot(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(entry["id"]),
        "name": str(entry.get("name", "")),
        "branch": str(entry.get("source_branch_id") or ""),
        "manual": bool(entry.get("manual")),
        "created": _moment(entry.get("created_at")),
        "expires": _moment(entry.get("expires_at")),
    }


def _moment(text: Any) -> Any:
    try:
        return pd.to_datetime(str(text or ""), utc=True)
    except ValueError:
        raise Malformed(f"neon answered with {text!r} for a time") from None


CLIENT = Neon
