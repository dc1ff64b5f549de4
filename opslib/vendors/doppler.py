"""Doppler: the names of the secrets of one config, and what was last done to it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd

from opslib import masking
from opslib.errors import Malformed
from opslib.vendors.base import VendorClient

_CONFIG = "/v3/configs/config"
SECRET_NAMES = ("name",)
LOGS = ("id", "created", "text", "author", "rollback")


class Doppler(VendorClient):
    """Reads one Doppler config.

    Args:
        access: settings `project` and `config`; a service token of that config will do.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str] = "doppler"
    API: ClassVar[str] = "https://api.doppler.com"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "secret_names": SECRET_NAMES,
        "logs": LOGS,
        "probe": ("ok", "account", "detail"),
    }

    def secret_names(self) -> pd.DataFrame:
        """Return the names of the config's secrets, without those that Doppler makes; column name.

        Raises:
            SourceError: Doppler could not be asked.
        """
        # Doppler knows two truths here: "false", and anything else.
        answer = self._read("/secrets/names", include_managed_secrets="false")
        names = answer.get("names")
        if not isinstance(names, list):
            raise Malformed("doppler answered without a list of names")
        return pd.DataFrame({"name": sorted(map(str, names))}, columns=list(SECRET_NAMES))

    def logs(self, limit: int = 20) -> pd.DataFrame:
        """Return what was last done to the config, the newest first; columns `LOGS`, created in UTC.

        Args:
            limit: how many entries at most.
        """
        entries = self._read("/logs", page="1", per_page=str(limit)).get("logs")
        if not isinstance(entries, list):
            raise Malformed("doppler answered without a list of changes")
        rows = [_entry(entry) for entry in entries if isinstance(entry, dict)]
        return pd.DataFrame(rows, columns=list(LOGS))

    def probe(self) -> pd.DataFrame:
        """Read the names: proves token, project and config at once."""
        count = len(self.secret_names())
        account = f"{self._setting('project')}/{self._setting('config')}"
        return pd.DataFrame([{"ok": True, "account": account, "detail": f"{count} names"}])

    def secret_value(self, name: str) -> str | None:
        """Return the value of one secret, or None where Doppler does not give it out.

        For the gate, which must tell whether it is the value that was planned; no notebook gets at
        it. It is masked from now on.
        """
        found = self._read("/secret", name=name).get("value")
        value = found.get("raw") if isinstance(found, dict) else None
        if isinstance(value, str):
            masking.register(f"{name} at doppler", value)
        return value if isinstance(value, str) else None

    def _read(self, path: str, **more: str) -> dict[str, Any]:
        where = {name: self._setting(name) for name in ("project", "config")}
        answer = self._client.get(f"{_CONFIG}{path}", params={**where, **more}).json
        if not isinstance(answer, dict):
            raise Malformed("doppler answered with something else than an object")
        return answer


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(entry.get("id", "")),
        "created": pd.to_datetime(str(entry.get("created_at") or ""), utc=True),
        "text": str(entry.get("text", "")),
        "author": str((entry.get("user") or {}).get("email", "")),
        "rollback": bool(entry.get("rollback", False)),
    }


CLIENT = Doppler
