"""What the simulated vendors answer over HTTP: one port, a path for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from opslib.sandbox import hosting
from opslib.sandbox.hosting import Project
from opslib.sandbox.simulated import VendorState, page_document

STATUS_PAGE = "status-page"
_PAGE_PATHS = {
    "statuspage": "api/v2/summary.json",
    "incident.io": "api/v1/summary",
    "betterstack": "index.json",
}


class VendorApi:
    """Answers for all vendors.

    Args:
        vendors: by name.
        projects: the hosting vendor's projects, by system.
    """

    def __init__(self, vendors: Mapping[str, VendorState], projects: Mapping[str, Project]) -> None:
        self._vendors, self._projects = vendors, projects

    async def answer(self, request: Request) -> Response:
        """Answer `GET /<vendor>/<path>`."""
        name, _, path = request.url.path.strip("/").partition("/")
        vendor = self._vendors.get(name)
        if vendor is None:
            return _error(404, "not_found", "no such vendor")
        if path.startswith(STATUS_PAGE):
            return _page(vendor, path.removeprefix(STATUS_PAGE).strip("/"))
        if not vendor.up:
            return _error(503, "service_unavailable", "Service Unavailable")
        if path.endswith("health"):
            return JSONResponse({"name": name, "version": "v2"})
        if request.headers.get("authorization") != f"Bearer {vendor.token}":
            return _error(403, "forbidden", "Not authorized")
        if name == "vercel":
            return self._vercel(path, request)
        return _error(404, "not_found", "not found")

    def _vercel(self, path: str, request: Request) -> Response:
        match path.split("/"):
            case [_, "deployments"]:
                return self._deployments(request)
            case [_, "projects", name]:
                return _found(self._project(name), hosting.project_json)
            case [_, "projects", name, "env"]:
                return _found(self._project(name), hosting.variables_json)
        return _error(404, "not_found", "The requested resource was not found")

    def _deployments(self, request: Request) -> Response:
        query = request.query_params
        owner = self._project(query.get("projectId", ""))
        if owner is None:
            return _error(404, "not_found", "Project not found")
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
    return JSONResponse(make(owner)) if owner else _error(404, "not_found", "Project not found")


def _page(vendor: VendorState, path: str) -> Response:
    if vendor.page == "html":
        return HTMLResponse("<!doctype html><title>Status</title><p>All Systems Operational")
    if vendor.page == "gone" or path != _PAGE_PATHS.get(vendor.status_format):
        return HTMLResponse("<!doctype html><h1>404</h1>", status_code=404)
    return JSONResponse(page_document(vendor))


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
