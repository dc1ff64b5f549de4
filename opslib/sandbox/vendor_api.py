"""What the simulated vendors answer over HTTP: one port, a path for each.

Every request that changes something is kept: `GET /<vendor>/rehearsal/writes` tells how often an
act really arrived, which is what a test of "exactly once" must count.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from opslib.sandbox.simulated import VendorState, page_document
from opslib.sandbox.simulators import Simulator, error

STATUS_PAGE = "status-page"
WRITES = "rehearsal/writes"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PAGE_PATHS = {
    "statuspage": "api/v2/summary.json",
    "incident.io": "api/v1/summary",
    "betterstack": "index.json",
}
_KEY = "idempotency-key"
_MANAGEMENT = "v1/projects/"  # where health is an answer of its own, for those who may ask


class VendorApi:
    """Answers for all vendors.

    Args:
        vendors: by name.
        simulators: the APIs of those that have one, by name.
    """

    def __init__(self, vendors: Mapping[str, VendorState], simulators: Mapping[str, Simulator]) -> None:
        self._vendors, self._simulators = vendors, simulators
        self._writes: dict[str, list[dict[str, Any]]] = {name: [] for name in vendors}
        self._one_at_a_time = threading.Lock()

    async def answer(self, request: Request) -> Response:
        """Answer `/<vendor>/<path>`."""
        name, _, path = request.url.path.strip("/").partition("/")
        vendor = self._vendors.get(name)
        if vendor is None:
            return error(404, "not_found", "no such vendor")
        if path == WRITES:
            return JSONResponse(self._writes[name])
        if path.startswith(STATUS_PAGE):
            return _page(vendor, path.removeprefix(STATUS_PAGE).strip("/"))
        if not vendor.up:
            return error(503, "service_unavailable", "Service Unavailable")
        if path.endswith("health") and not path.startswith(_MANAGEMENT):
            return JSONResponse({"name": name, "version": "v2"})
        signed = getattr(self._simulators.get(name), "SIGNED", False)  # it looks at that itself
        if not signed and not _authorised(request, vendor.token):
            return error(403, "forbidden", "Not authorized")
        if name not in self._simulators:
            return error(404, "not_found", "not found")
        raw = await request.body()
        file = signed or "x-upsert" in request.headers
        try:
            body = raw if file else json.loads(raw) if raw else None
        except ValueError:
            return error(400, "bad_request", "Invalid JSON")
        return await run_in_threadpool(self._simulated, name, path, request, body)

    def _simulated(self, name: str, path: str, request: Request, body: Any) -> Response:
        simulator = self._simulators[name]
        reads = getattr(simulator, "reads", None)  # of a vendor that takes questions with POST too
        with self._one_at_a_time:
            reply = simulator.answer(request.method, path, request, body)
            if request.method not in ("GET", "HEAD") and not (reads and reads(body)):
                key = request.headers.get(_KEY, "")
                row = {"at": time.time(), "method": request.method, "path": path, "key": key}
                self._writes[name].append({**row, "status": reply.status_code})
            return reply


def _authorised(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    project = request.headers.get("project-access-token", "")
    return hmac.compare_digest(given, f"Bearer {token}") or hmac.compare_digest(project, token)


def _page(vendor: VendorState, path: str) -> Response:
    if vendor.page == "html":
        return HTMLResponse("<!doctype html><title>Status</title><p>All Systems Operational")
    if vendor.page == "gone" or path != _PAGE_PATHS.get(vendor.status_format):
        return HTMLResponse("<!doctype html><h1>404</h1>", status_code=404)
    return JSONResponse(page_document(vendor))
