"""Neon's API: the branches of each project, and a new one from any moment that the history still has.

A branch is made in two steps, as the real one is: it is `init` when it is answered for, `ready` when it
is asked for again. Its compute is the system's own server, so it holds what production holds now.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.config import System
from opslib.config.fields import is_placeholder
from opslib.sandbox.simulators import Estate

HISTORY_S = 7 * 24 * 3600
_OLD = timedelta(days=200)

Entry = dict[str, Any]


@dataclass
class Project:
    """One project.

    Args:
        id: Neon's name of it.
        host: where its computes answer.
        history_s: for how long the history is kept.
        branches: by id, the default one first.
        created: when it was made.
    """

    id: str
    host: str
    history_s: int = HISTORY_S
    branches: dict[str, Entry] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC) - _OLD)


class NeonApi:
    """Answers for the projects of all systems whose database is there."""

    def __init__(self, estate: Estate) -> None:
        self._projects: dict[str, Project] = {}
        for system in (s for s in estate.systems.values() if "neon" in s.vendors):
            project = Project(_name(system), _host(estate.addresses.get(system.name, "")))
            main = _branch(project, {"name": "main"}, project.created)
            del main["pending_state"]
            project.branches[main["id"]] = {**main, "default": True, "current_state": "ready"}
            self._projects[system.name] = project

    @property
    def settings(self) -> Mapping[str, Any]:
        """The project of each system."""
        return {"project": {name: project.id for name, project in self._projects.items()}}

    def project(self, system: str) -> Project:
        """Return a system's project, to be read and changed."""
        return self._projects[system]

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request."""
        words = path.split("/")
        known = {project.id: project for project in self._projects.values()}
        if words[0] != "projects" or len(words) < 2 or words[1] not in known:
            return _wrong(404, "", "project not found")
        project = known[words[1]]
        match (method, words[2:]):
            case ("GET", []):
                return JSONResponse({"project": _project(project)})
            case ("GET", ["branches"]):
                return JSONResponse(_branches(project))
            case ("POST", ["branches"]):
                return _begin(project, body or {})
            case ("GET", ["endpoints"]):
                return JSONResponse({"endpoints": [_endpoint(project, b) for b in project.branches.values()]})
            case ("GET", ["snapshots"]):
                return JSONResponse({"snapshots": []})
        return _wrong(404, "", "this route does not exist")


def _branches(project: Project) -> Entry:
    listed = list(project.branches.values())
    answer = {"branches": [dict(branch) for branch in listed], "annotations": {}, "pagination": {}}
    for branch in listed:
        branch["current_state"] = "ready"
        branch.pop("pending_state", None)
    return answer


def _begin(project: Project, body: Entry) -> Response:
    wanted = body.get("branch") or {}
    now = datetime.now(UTC)
    if any(branch["name"] == wanted.get("name") for branch in project.branches.values()):
        return _wrong(409, "", f"branch with name {wanted['name']!r} already exists")
    moment = datetime.fromisoformat(wanted["parent_timestamp"]) if "parent_timestamp" in wanted else now
    if not now - timedelta(seconds=project.history_s) <= moment <= now:
        return _wrong(400, "", "the requested timestamp is outside of the history retention window")
    made = _branch(project, wanted, now)
    project.branches[made["id"]] = made
    endpoints = [_endpoint(project, made)] if body.get("endpoints") else []
    more: Entry = {"operations": [], "roles": [], "databases": []}
    return JSONResponse({"branch": made, "endpoints": endpoints, **more}, status_code=201)


def _branch(project: Project, wanted: Entry, now: datetime) -> Entry:
    counted = (
        "cpu_used_sec", "active_time_seconds", "compute_time_seconds", "written_data_bytes",
        "data_transfer_bytes",
    )  # fmt: skip
    given: Entry = {
        key: wanted[key] for key in ("parent_id", "parent_timestamp", "expires_at") if key in wanted
    }
    return {
        "id": f"br-{secrets.token_hex(6)}",
        "project_id": project.id,
        "name": wanted.get("name", ""),
        "current_state": "init",
        "pending_state": "ready",
        "state_changed_at": _text(now),
        "creation_source": "console",
        "created_at": _text(now),
        "updated_at": _text(now),
        "default": False,
        "protected": False,
        **dict.fromkeys(counted, 0),
        **given,
    }


def _endpoint(project: Project, branch: Entry) -> Entry:
    return {
        "host": project.host,
        "id": branch["id"].replace("br-", "ep-"),
        "project_id": project.id,
        "branch_id": branch["id"],
        "region_id": "aws-us-east-1",
        "autoscaling_limit_min_cu": 0.25,
        "autoscaling_limit_max_cu": 1,
        "type": "read_write",
        "current_state": "active",
        "pooler_enabled": False,
        "pooler_mode": "transaction",
        "disabled": False,
        "passwordless_access": True,
        "creation_source": "console",
        "created_at": branch["created_at"],
        "updated_at": branch["created_at"],
        "settings": {},
        "proxy_host": "us-east-1.aws.neon.tech",
        "suspend_timeout_seconds": 0,
        "provisioner": "k8s-neonvm",
    }


def _project(project: Project) -> Entry:
    counted = (
        "active_time_seconds", "compute_time_seconds", "written_data_bytes", "data_transfer_bytes",
        "data_storage_bytes_hour", "cpu_used_sec",
    )  # fmt: skip
    made = _text(project.created)
    return {
        **dict.fromkeys(counted, 0),
        "consumption_period_end": made,
        "consumption_period_start": made,
        "id": project.id,
        "platform_id": "aws",
        "region_id": "aws-us-east-1",
        "name": project.id,
        "pg_version": 16,
        "proxy_host": "us-east-1.aws.neon.tech",
        "branch_logical_size_limit": 0,
        "branch_logical_size_limit_bytes": 0,
        "store_passwords": True,
        "provisioner": "k8s-neonvm",
        "creation_source": "console",
        "history_retention_seconds": project.history_s,
        "created_at": made,
        "updated_at": made,
        "owner_id": "org-sandbox",
    }


def _name(system: System) -> str:
    named = str(system.vendors["neon"].settings.get("project", ""))
    return named if named and not is_placeholder(named) else f"{system.name}-sandbox-1"


def _host(dsn: str) -> str:
    """Return the host of an address; that of a socket stands in its query."""
    parts = urlsplit(dsn)
    return parse_qs(parts.query).get("host", [parts.hostname or ""])[0]


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _wrong(status: int, code: str, message: str) -> Response:
    return JSONResponse({"request_id": secrets.token_hex(8), "code": code, "message": message}, status)


SIMULATOR = NeonApi
