"""Supabase's Management API: one project, the health of its parts, its backups and buckets. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import pandas as pd

from opslib.errors import Malformed
from opslib.vendors.base import VendorClient

PROJECT = ("ref", "name", "region", "status", "version", "created")
HEALTH = ("service", "status", "error")
BACKUPS = ("id", "physical", "status", "created")
WINDOW = ("point_in_time", "earliest", "latest")
BUCKETS = ("id", "name", "public", "created")
SERVICES = ("auth", "db", "pooler", "realtime", "rest", "storage")
_ASKED = "&".join(f"services={name}" for name in SERVICES)  # each on its own: a list with commas is refused


class Supabase(VendorClient):
    """Reads one Supabase project.

    Supabase allows 60 requests a minute to a person, all tools together.

    Args:
        access: setting `project`, its reference of 20 letters; the token is a personal access token.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str] = "supabase"
    API: ClassVar[str] = "https://api.supabase.com"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "project": PROJECT,
        "health": HEALTH,
        "backups": BACKUPS,
        "window": WINDOW,
        "buckets": BUCKETS,
        "probe": ("ok", "account", "detail"),
    }

    def project(self) -> pd.DataFrame:
        """Return the project; columns `PROJECT`, one row. status is Supabase's own, ACTIVE_HEALTHY when well.

        Raises:
            SourceError: Supabase could not be asked.
        """
        found = _object(self._read(), "status")
        row = {
            **{name: str(found.get(name, "")) for name in ("ref", "name", "region", "status")},
            "version": str((found.get("database") or {}).get("version", "")),
            "created": _moment(found.get("created_at")),
        }
        return pd.DataFrame([row], columns=list(PROJECT))

    def health(self) -> pd.DataFrame:
        """Return how Supabase finds the project's parts; columns `HEALTH`, one row a part of `SERVICES`."""
        found = _entries(self._read(f"/health?{_ASKED}"), "name")
        rows = [
            {
                "service": str(e["name"]),
                "status": str(e.get("status", "")),
                "error": str(e.get("error") or ""),
            }
            for e in found
        ]
        return pd.DataFrame(rows, columns=list(HEALTH))

    def backups(self) -> pd.DataFrame:
        """Return the backups that Supabase has made, the newest first; columns `BACKUPS`, created in UTC.

        Files in Storage are in none of them.
        """
        found = _entries(self._backed_up()["backups"], "id")
        rows = [
            {
                "id": int(entry["id"]),
                "physical": bool(entry.get("is_physical_backup")),
                "status": str(entry.get("status", "")),
                "created": _moment(entry.get("inserted_at")),
            }
            for entry in found
        ]
        frame = pd.DataFrame(rows, columns=list(BACKUPS))
        return frame.sort_values("created", ascending=False, ignore_index=True)

    def window(self) -> pd.DataFrame:
        """Return from when to when the database can be put back; columns `WINDOW`, one row, times in UTC.

        point_in_time is whether the add-on is on; earliest and latest are NaT where Supabase tells none.
        """
        found = self._backed_up()
        known = found.get("physical_backup_data") or {}
        row = {
            "point_in_time": bool(found.get("pitr_enabled")),
            "earliest": _epoch(known.get("earliest_physical_backup_date_unix")),
            "latest": _epoch(known.get("latest_physical_backup_date_unix")),
        }
        return pd.DataFrame([row], columns=list(WINDOW))

    def buckets(self) -> pd.DataFrame:
        """Return the buckets of Storage; columns `BUCKETS`, created in UTC."""
        found = _entries(self._read("/storage/buckets"), "id")
        rows = [
            {
                "id": str(entry["id"]),
                "name": str(entry.get("name", "")),
                "public": bool(entry.get("public")),
                "created": _moment(entry.get("created_at")),
            }
            for entry in found
        ]
        return pd.DataFrame(rows, columns=list(BUCKETS))

    def probe(self) -> pd.DataFrame:
        """Read the project: proves token and project at once."""
        row = self.project().iloc[0]
        return pd.DataFrame([{"ok": True, "account": row["ref"], "detail": row["status"]}])

    def _backed_up(self) -> dict[str, Any]:
        return _object(self._read("/database/backups"), "backups")

    def _read(self, rest: str = "") -> Any:
        return self._client.get(f"/v1/projects/{quote(self._project, safe='')}{rest}").json


def _object(found: Any, key: str) -> dict[str, Any]:
    if not isinstance(found, dict) or key not in found:
        raise Malformed(f"supabase answered without {key}")
    return found


def _entries(found: Any, key: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(e, dict) and key in e for e in found):
        raise Malformed("supabase answered with something else than the list that was asked for")
    return found


def _moment(text: Any) -> Any:
    try:
        return pd.to_datetime(str(text or ""), utc=True)
    except ValueError:
        raise Malformed(f"supabase answered with {text!r} for a time") from None


def _epoch(seconds: Any) -> Any:
    return pd.to_datetime(seconds, unit="s", utc=True) if isinstance(seconds, int) else pd.NaT


CLIENT = Supabase
