"""Vercel's API: deployments, the project, its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.sandbox import hosting
from opslib.sandbox.hosting import Project
from opslib.sandbox.simulators import Estate, error, vercel_variables


class VercelApi:
    """Answers for the projects of all systems."""

    def __init__(self, estate: Estate) -> None:
        self._projects = estate.projects

    @property
    def settings(self) -> Mapping[str, Any]:
        """Each system's project."""
        return {"project": {name: project.id for name, project in self._projects.items()}}

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request."""
        match (method, *path.split("/")):
            case ("GET", _, "deployments"):
                return self._deployments(request)
            case ("GET", _, "projects", name):
                return _found(self._project(name), hosting.project_json)
            case (_, _, "projects", name, "env", *rest) if owner := self._project(name):
                return vercel_variables.answer(owner.variables, method, rest, request, body)
        return error(404, "not_found", "The requested resource was not found")

    def _deployments(self, request: Request) -> Response:
        query = request.query_params
        owner = self._project(query.get("projectId", ""))
        if owner is None:
            return error(404, "not_found", "Project not found")
        until, limit = int(query.get("until", 0)), int(query.get("limit", 20))
        listed = [d for d in owner.deployments if not until or d.created < until]
        page, rest = listed[:limit], listed[limit:]
        following = page[-1].created if rest else None
        pagination = {"count": len(page), "next": following, "prev": page[0].created if page else None}
        entries = [hosting.deployment_json(owner, d) for d in page]
        return JSONResponse({"deployments": entries, "pagination": pagination})

    def _project(self, name: str) -> Project | None:
        return next((p for p in self._projects.values() if name in (p.id, p.system)), None)


def _found(owner: Project | None, make: Any) -> Response:
    return JSONResponse(make(owner)) if owner else error(404, "not_found", "Project not found")


SIMULATOR = VercelApi
