"""PostHog's API: the feature flags of each project, with the versions and conflicts of the real one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.sandbox.flags import project_number
from opslib.sandbox.simulators import Estate

_WRITABLE = ("name", "active", "filters", "deleted", "tags")
# key, what it is, active, share, days since it was made and since it was changed
_PAST = {
    "klutr": (
        ("klutr-global-disable", "stops every AI call", False, 100, 260, 91),
        ("smart-stacks", "groups notes by meaning", True, 100, 120, 40),
        ("voice-notes", "dictation", True, 50, 30, 6),
        ("weekly-insights", "a letter every Monday", True, 100, 160, 70),
    )
}
_FIRST_NUMBER = 4101


class PostHogApi:
    """Answers for the projects of all systems that keep flags there."""

    def __init__(self, estate: Estate) -> None:
        here = [name for name, system in estate.systems.items() if "posthog" in system.vendors]
        self._projects = {name: project_number(name) for name in here}
        self._flags = {project_number(name): _past(name) for name in here}

    @property
    def settings(self) -> Mapping[str, Any]:
        """Each system's project."""
        return {"project": dict(self._projects)}

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request."""
        match (method, *path.strip("/").split("/")):
            case ("GET", "api", "projects", project, "feature_flags") if project in self._flags:
                return self._listed(project, request)
            case ("GET", "api", "projects", project, "feature_flags", number) if project in self._flags:
                found = self._numbered(project, number)
                return JSONResponse(found) if found else _missing()
            case ("PATCH", "api", "projects", project, "feature_flags", number) if project in self._flags:
                found = self._numbered(project, number)
                return _changed(found, body or {}) if found else _missing()
        return _missing()

    def flag(self, system: str, key: str) -> dict[str, Any]:
        """Return a copy of a flag as it is now.

        Raises:
            KeyError: there is none of that key.
        """
        return copy.deepcopy(self._found(system, key))

    def put(self, system: str, flag: Mapping[str, Any]) -> None:
        """Put a whole flag back as it was, or as somebody else left it."""
        found = self._found(system, str(flag["key"]))
        found.clear()
        found.update(copy.deepcopy(dict(flag)))

    def edit(self, system: str, key: str, active: bool, percent: int, by: str) -> None:
        """Change a flag as a colleague does in the browser."""
        found = self._found(system, key)
        found["filters"]["groups"][0]["rollout_percentage"] = percent
        _touch(found, {"active": active}, by)

    def _found(self, system: str, key: str) -> dict[str, Any]:
        flags = self._flags[self._projects[system]]
        return next((f for f in flags if f["key"] == key), None) or _raise(key)

    def _numbered(self, project: str, number: str) -> dict[str, Any] | None:
        # A key where the number belongs finds nothing, as with the real one.
        return next((f for f in self._flags[project] if str(f["id"]) == number), None)

    def _listed(self, project: str, request: Request) -> Response:
        query = request.query_params
        search, limit = query.get("search", "").lower(), int(query.get("limit", 100))
        offset = int(query.get("offset", 0))
        kept = [f for f in self._flags[project] if not f["deleted"]]
        kept = [f for f in kept if search in f["key"].lower() or search in f["name"].lower()]
        page, more = kept[offset : offset + limit], len(kept) > offset + limit
        following = request.url.include_query_params(limit=limit, offset=offset + limit)
        document = {"count": len(kept), "next": str(following) if more else None, "previous": None}
        return JSONResponse({**document, "results": page})


def _past(system: str) -> list[dict[str, Any]]:
    rows = enumerate(_PAST.get(system, ()), _FIRST_NUMBER)
    return sorted((_flag(number, *row) for number, row in rows), key=lambda f: f["created_at"], reverse=True)


def _flag(
    number: int, key: str, name: str, active: bool, share: int, made_days: int, changed_days: int
) -> dict[str, Any]:
    person = {"id": 1, "first_name": "Dev", "email": "dev@example.com"}
    groups = [{"properties": [], "rollout_percentage": share, "variant": None}]
    return {
        "id": number,
        "key": key,
        "name": name,
        "active": active,
        "deleted": False,
        "filters": {"groups": groups, "payloads": {}, "multivariate": None},
        "version": 3,
        "status": "ACTIVE",
        "tags": [],
        "is_remote_configuration": False,
        "created_at": _ago(made_days),
        "created_by": person,
        "updated_at": _ago(changed_days),
        "last_modified_by": person,
        "last_called_at": _ago(0),
    }


def _changed(flag: dict[str, Any], body: Mapping[str, Any]) -> Response:
    wanted = {name: value for name, value in body.items() if name in _WRITABLE}
    if not isinstance(wanted.get("active", True), bool):
        return _refused(400, "validation_error", "invalid", "Must be a valid boolean.", "active")
    if body.get("version", -1) not in (-1, flag["version"]) and _conflicts(flag, wanted, body):
        said = "The feature flag was updated by another user since you started editing it."
        return _refused(409, "server_error", "conflict", f"{said} Please refresh and try again.")
    _touch(flag, wanted, "operator@example.com")
    return JSONResponse(flag)


def _conflicts(flag: Mapping[str, Any], wanted: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Tell whether a field that is being changed was changed by somebody else, to something else."""
    original = body.get("original_flag") or {}
    mine = [name for name, value in wanted.items() if name in original and value != original[name]]
    return any(original[name] != flag[name] and wanted[name] != flag[name] for name in mine)


def _touch(flag: dict[str, Any], wanted: Mapping[str, Any], by: str) -> None:
    flag.update(copy.deepcopy(dict(wanted)))
    flag["version"] += 1
    flag["updated_at"] = _ago(0)
    flag["last_modified_by"] = {"id": 2, "first_name": by.partition("@")[0].title(), "email": by}


def _ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat().replace("+00:00", "Z")


def _refused(status: int, kind: str, code: str, detail: str, attr: str | None = None) -> Response:
    document = {"type": kind, "code": code, "detail": detail, "attr": attr}
    return JSONResponse(document, status_code=status)


def _missing() -> Response:
    return _refused(404, "invalid_request", "not_found", "Not found.")


def _raise(key: str) -> dict[str, Any]:
    raise KeyError(key)


SIMULATOR = PostHogApi
