"""Doppler's API: the secrets of one config a system, and the log of what was done to them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.config import System
from opslib.config.fields import is_placeholder
from opslib.sandbox.simulators import Estate
from opslib.sandbox.variables import hashed

_CONFIG = "v3/configs/config"
_MANAGED = ("DOPPLER_CONFIG", "DOPPLER_ENVIRONMENT", "DOPPLER_PROJECT")
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_CONFIGS_OLD = timedelta(hours=600)

Entry = dict[str, Any]


class DopplerApi:
    """Answers for the configs of all systems that keep their variables there."""

    def __init__(self, estate: Estate) -> None:
        self._users = [system for system in estate.systems.values() if "doppler" in system.vendors]
        self._configs = {_place(system): _values(system) for system in self._users}
        self._logs: dict[tuple[str, str], list[Entry]] = {}
        for place in self._configs:
            self._log(place, "Added secrets", ago=_CONFIGS_OLD)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Each system's project and config: those of its file, as far as it names them."""
        places = {system.name: _place(system) for system in self._users}
        return {
            "project": {name: project for name, (project, _) in places.items()},
            "config": {name: config for name, (_, config) in places.items()},
        }

    def values(self, system: System) -> dict[str, str]:
        """Return the secrets of a system's config, to be read and changed: name -> value."""
        return self._configs[_place(system)]

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request."""
        given = body if method == "POST" and isinstance(body, dict) else request.query_params
        place = (str(given.get("project", "")), str(given.get("config", "")))
        if place not in self._configs:
            return _wrong(404, f"Could not find requested config '{place[1]}'")
        match (method, path.removeprefix(_CONFIG)):
            case ("GET", "/secrets/names"):
                managed = () if given.get("include_managed_secrets") == "false" else _MANAGED
                return JSONResponse({"names": sorted([*self._configs[place], *managed])})
            case ("GET", "/secret"):
                return self._one(place, str(given.get("name", "")))
            case ("GET", "/logs"):
                return self._some_logs(place, int(given.get("page", 1)), int(given.get("per_page", 20)))
            case ("POST", "/secrets"):
                return self._update(place, body)
        return _wrong(404, "Not found")

    def _one(self, place: tuple[str, str], name: str) -> Response:
        if name not in self._configs[place]:
            return _wrong(404, f"Could not find requested secret: {name}")
        return JSONResponse({"name": name, "value": _shown(self._configs[place][name])})

    def _some_logs(self, place: tuple[str, str], page: int, size: int) -> Response:
        first = (page - 1) * size
        return JSONResponse({"page": page, "logs": self._logs[place][first : first + size]})

    def _update(self, place: tuple[str, str], body: Entry) -> Response:
        """Do all changes or none; like Doppler, answer with the values of what was set."""
        plain = [{"name": n, "originalName": n, "value": v} for n, v in (body.get("secrets") or {}).items()]
        changes = body.get("change_requests") or plain
        wanted = dict(self._configs[place])
        for change in changes:
            if refused := _applied(wanted, change, by_name=bool(plain)):
                return _wrong(400, refused)
        self._configs[place].clear()
        self._configs[place].update(wanted)
        names = [str(change["name"]) for change in changes]
        self._log(place, f"Modified secrets: {', '.join(names)}")
        return JSONResponse({"secrets": {n: _shown(wanted[n]) for n in names if n in wanted}})

    def _log(self, place: tuple[str, str], text: str, ago: timedelta = timedelta()) -> None:
        moment = (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        project, config = place
        who = {"email": "dev@example.com", "name": "Dev", "username": "dev", "profile_image_url": ""}
        entry = {"id": secrets.token_urlsafe(11), "text": text, "html": text, "rollback": False}
        entry |= {"created_at": moment, "config": config, "environment": config, "project": project}
        self._logs.setdefault(place, []).insert(0, {**entry, "user": who})


def _applied(wanted: dict[str, str], change: Entry, *, by_name: bool) -> str:
    """Change what one request wants changed; return why it must not be, if so."""
    name, former = str(change.get("name", "")), change.get("originalName")
    if not _NAME.fullmatch(name):
        return "Secret names may only contain uppercase letters, numbers and underscores"
    if not by_name and former is None and name in wanted:
        return f"The secret {name} already exists"
    if "originalValue" in change and wanted.get(str(former)) != change["originalValue"]:
        return f"The value of {former} is not the expected one"
    if change.get("shouldDelete"):
        wanted.pop(name, None)
    elif change.get("value") is not None:
        wanted[name] = str(change["value"])
    return ""


def _place(system: System) -> tuple[str, str]:
    given = {key: str(value) for key, value in system.vendors["doppler"].settings.items()}
    named = {key: value for key, value in given.items() if not is_placeholder(value)}
    return named.get("project", system.name), named.get("config", "prd")


def _values(system: System) -> dict[str, str]:
    return {name: f"sandbox-{hashed(f'{system.name} {name} value')[:32]}" for name in system.required_env}


def _shown(value: str) -> Entry:
    return {
        "raw": value,
        "computed": value,
        "note": "",
        "rawVisibility": "masked",
        "computedVisibility": "masked",
    }


def _wrong(status: int, message: str) -> Response:
    return JSONResponse({"messages": [message], "success": False}, status_code=status)


SIMULATOR = DopplerApi
