"""Vercel's API: deployments and which of them serves, the project, its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.sandbox import hosting_json
from opslib.sandbox.hosting import PRODUCTION, Deployment, Project
from opslib.sandbox.simulators import Estate, error, vercel_variables
from opslib.sandbox.switching import Rejected


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
        try:
            return self._answer(method, path, request, body)
        except Rejected as refusal:
            return error(refusal.status, refusal.code, refusal.message)

    def _answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        match (method, *path.split("/")):
            case ("GET", _, "deployments"):
                return self._deployments(request)
            case ("GET", _, "deployments", name):
                return JSONResponse(hosting_json.document(*self._deployment(name)))
            case ("POST", _, "deployments"):
                return self._redeploy(body)
            case (_, _, "projects", name, *rest) if owner := self._project(name):
                return self._of_project(owner, method, rest, request, body)
        return error(404, "not_found", "The requested resource was not found")

    def _of_project(
        self, owner: Project, method: str, rest: list[str], request: Request, body: Any
    ) -> Response:
        match (method, *rest):
            case ("GET",):
                return JSONResponse(hosting_json.project_json(owner))
            case ("POST", "promote" | "rollback" as type, name):
                return JSONResponse({}, 202 if owner.switch(type, name).queued else 201)
            case ("GET", "promote" | "rollback", "aliases"):
                failed_only = request.query_params.get("failedOnly") == "true"
                return JSONResponse(hosting_json.aliases_json(owner, failed_only=failed_only))
            case (_, "env", *more):
                return vercel_variables.answer(owner.variables, method, more, request, body)
        return error(404, "not_found", "The requested resource was not found")

    def _deployments(self, request: Request) -> Response:
        query = request.query_params
        owner = self._project(query.get("projectId", ""))
        if owner is None:
            return error(404, "not_found", "Project not found")
        until, limit = int(query.get("until", 0)), int(query.get("limit", 20))
        target = query.get("target", "")
        listed = [
            d for d in owner.everything if target in ("", d.target) and (not until or d.created < until)
        ]
        page, rest = listed[:limit], listed[limit:]
        following = page[-1].created if rest else None
        pagination = {"count": len(page), "next": following, "prev": page[0].created if page else None}
        entries = [hosting_json.deployment_json(owner, d) for d in page]
        return JSONResponse({"deployments": entries, "pagination": pagination})

    def _redeploy(self, body: Any) -> Response:
        given = body if isinstance(body, dict) else {}
        if "name" not in given or "deploymentId" not in given:
            return error(400, "bad_request", "Only redeployments are rehearsed: name and deploymentId")
        owner, code = self._deployment(str(given["deploymentId"]))
        target = PRODUCTION if given.get("target") == PRODUCTION else "preview"
        notes = [(str(name), str(text)) for name, text in (given.get("meta") or {}).items()]
        return JSONResponse(hosting_json.document(owner, owner.redeploy(code.id, target, notes)))

    def _deployment(self, name: str) -> tuple[Project, Deployment]:
        for owner in self._projects.values():
            try:
                return owner, owner.find(name)
            except KeyError:
                continue
        raise Rejected(404, "not_found", "The deployment could not be found")

    def _project(self, name: str) -> Project | None:
        return next((p for p in self._projects.values() if name in (p.id, p.system)), None)


SIMULATOR = VercelApi
