"""Supabase's Management API: one project a system, with daily backups and point-in-time recovery; and its
Storage.

A restore is taken for what the server notices of it: it is down for a moment, and has started anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.config import System
from opslib.config.fields import is_placeholder
from opslib.sandbox.simulators import Estate, path_of
from opslib.sandbox.simulators.supabase_storage import PREFIX, Storage

WELL = "ACTIVE_HEALTHY"
WINDOW = timedelta(days=7)
LAG = timedelta(seconds=30)  # the log reaches the archive this much later
_OLD = timedelta(days=200)

Entry = dict[str, Any]


@dataclass
class Project:
    """One project.

    Args:
        ref: its reference of 20 letters.
        point_in_time: whether the add-on is on.
        reach: how far back the kept log goes.
        lag: how long ago the log last reached the archive.
        nights: daily backups that are kept.
        status: as Supabase has it.
        restored: the moments that it was asked to go back to.
        created: when it was made.
    """

    ref: str
    point_in_time: bool = True
    reach: timedelta = WINDOW
    lag: timedelta = LAG
    nights: int = WINDOW.days
    status: str = WELL
    restored: list[int] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC) - _OLD)


class SupabaseApi:
    """Answers for the projects of all systems that use it."""

    def __init__(self, estate: Estate) -> None:
        self._restart = estate.restart
        users = [system for system in estate.systems.values() if "supabase" in system.vendors]
        self._projects = {system.name: Project(_reference(system)) for system in users}
        self._storages = {system.name: Storage(system) for system in users}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The project of each system, and where its Storage is below the vendor's address."""
        refs = {name: project.ref for name, project in self._projects.items()}
        storage = {name: f"/{ref}/{PREFIX}".rstrip("/") for name, ref in refs.items()}
        return {"project": refs, "storage_url": storage}

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that have a project."""
        return tuple(self._projects)

    def project(self, system: str) -> Project:
        """Return a system's project, to be read and changed."""
        return self._projects[system]

    def storage(self, system: str) -> Storage:
        """Return the Storage of a system's project, to be read and changed."""
        return self._storages[system]

    def reads(self, body: Any) -> bool:
        """Tell whether a body is a question for a listing."""
        return isinstance(body, Mapping) and "with_delimiter" in body

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request."""
        known = {project.ref: (name, project) for name, project in self._projects.items()}
        ref, _, rest = path_of(request, "supabase").partition("/")
        if ref in known and rest.startswith(PREFIX):
            return self._storages[known[ref][0]].answer(method, rest.removeprefix(PREFIX), request, body)
        words = path.split("/")
        if words[:2] != ["v1", "projects"] or len(words) < 3 or words[2] not in known:
            return _wrong(404, "Project not found")
        name, project = known[words[2]]
        answers: Mapping[tuple[str, str], Callable[[], Response]] = {
            ("GET", ""): lambda: JSONResponse(_about(project)),
            ("GET", "health"): lambda: _health(project, request.query_params.getlist("services")),
            ("GET", "database/backups"): lambda: JSONResponse(_backups(project)),
            ("GET", "storage/buckets"): lambda: JSONResponse([]),
            ("POST", "database/backups/restore-pitr"): lambda: self._restore(name, project, body or {}),
        }
        found = answers.get((method, "/".join(words[3:])))
        return found() if found else _wrong(404, f"Cannot {method} /{path}")

    def _restore(self, system: str, project: Project, body: Entry) -> Response:
        moment = body.get("recovery_time_target_unix")
        earliest, latest = _window(project)
        if not isinstance(moment, int) or not project.point_in_time or not earliest <= moment <= latest:
            return _wrong(400, "recovery_time_target_unix is outside of the recovery window")
        project.restored.append(moment)
        project.status = "RESTORING"
        self._restart(system)
        return Response(status_code=201)


def _about(project: Project) -> Entry:
    """Return the project; the restore of a small database is over when it is asked for again."""
    about = {
        "id": project.ref,
        "ref": project.ref,
        "organization_id": "sandbox",
        "organization_slug": "sandbox",
        "name": "sandbox",
        "region": "us-east-1",
        "created_at": _text(project.created),
        "status": project.status,
        "database": {
            "host": f"db.{project.ref}.supabase.co",
            "version": "15.1.0",
            "postgres_engine": "15",
            "release_channel": "ga",
        },
    }
    if project.status == "RESTORING":
        project.status = WELL
    return about


def _health(project: Project, services: list[str]) -> Response:
    if not services:
        return _wrong(400, "services should not be empty")
    status = WELL if project.status == WELL else "COMING_UP"
    rows = [{"name": name, "healthy": status == WELL, "status": status} for name in services]
    return JSONResponse(rows)


def _backups(project: Project) -> Entry:
    now = datetime.now(UTC)
    nights = [
        now.replace(hour=2, minute=0, second=0, microsecond=0) - timedelta(days=day)
        for day in range(1, project.nights + 1)
    ]
    rows = [
        {"id": 1000 - day, "is_physical_backup": True, "status": "COMPLETED", "inserted_at": _text(night)}
        for day, night in enumerate(nights)
    ]
    earliest, latest = _window(project)
    known = {
        "earliest_physical_backup_date_unix": int(earliest),
        "latest_physical_backup_date_unix": int(latest),
    }
    about = {
        "region": "us-east-1",
        "walg_enabled": bool(project.nights),
        "pitr_enabled": project.point_in_time,
    }
    return {**about, "backups": rows, "physical_backup_data": known if project.point_in_time else {}}


def _window(project: Project) -> tuple[float, float]:
    now = datetime.now(UTC)
    return (now - project.reach).timestamp(), (now - project.lag).timestamp()


def _reference(system: System) -> str:
    named = str(system.vendors["supabase"].settings.get("project", ""))
    if named and not is_placeholder(named):
        return named
    digits = hashlib.sha256(system.name.encode()).digest()[:20]
    return "".join(chr(ord("a") + digit % 26) for digit in digits)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _wrong(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)


SIMULATOR = SupabaseApi
