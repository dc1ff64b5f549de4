"""Railway's GraphQL API: deployments of a service, going back to one.

Every answer is a 200; what went wrong stands in `errors`, as GraphQL has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.sandbox.container import Image, Service
from opslib.sandbox.simulators import Estate, error
from opslib.sandbox.switching import Rejected

Variables = Mapping[str, Any]
_WORD = re.compile(r"[A-Za-z_]\w*")


class RailwayApi:
    """Answers for the services of all systems that have one."""

    def __init__(self, estate: Estate) -> None:
        self._services = estate.services
        self._fields: Mapping[str, Callable[[Variables, set[str]], Any]] = {
            "deployments": self._deployments,
            "deployment": lambda given, asked: _picked(*self._found(given), asked),
            "deploymentRollback": self._rollback,
        }

    @property
    def settings(self) -> Mapping[str, Any]:
        """Each system's project, environment and service."""
        owned = self._services.items()
        return {
            "project": {name: service.project_id for name, service in owned},
            "environment": {name: service.environment_id for name, service in owned},
            "service": {name: service.id for name, service in owned},
        }

    @staticmethod
    def reads(body: Any) -> bool:
        """Tell whether a POST only asks: what is no mutation changes nothing."""
        return not str((body or {}).get("query", "")).lstrip().startswith("mutation")

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request."""
        if method != "POST" or path or not isinstance(body, dict):
            return error(404, "not_found", "The requested resource was not found")
        words = _WORD.findall(str(body.get("query", "")).partition("{")[2])
        field = words[0] if words else ""
        try:
            if field not in self._fields:
                raise Rejected(200, "GRAPHQL_VALIDATION_FAILED", f'Cannot query field "{field}"')
            data = self._fields[field](body.get("variables") or {}, set(words))
        except Rejected as refusal:
            wrong = {"message": refusal.message, "path": [field], "extensions": {"code": refusal.code}}
            return JSONResponse({"errors": [wrong], "data": None})
        return JSONResponse({"data": {field: data}})

    def _deployments(self, given: Variables, asked: set[str]) -> dict[str, Any]:
        owner = self._service(given.get("input") or {})
        listed = owner.deployments[: int(given.get("first") or 20)]
        edges = [{"cursor": image.id, "node": _picked(owner, image, asked)} for image in listed]
        return {"edges": edges, "pageInfo": {"hasNextPage": len(listed) < len(owner.deployments)}}

    def _rollback(self, given: Variables, asked: set[str]) -> bool:
        owner, image = self._found(given)
        return bool(owner.roll_back(image.id))

    def _service(self, given: Variables) -> Service:
        for service in self._services.values():
            known = {"projectId": service.project_id, "serviceId": service.id}
            if all(given.get(name) in (None, value) for name, value in known.items()):
                return service
        raise Rejected(200, "NOT_FOUND", "Project not found")

    def _found(self, given: Variables) -> tuple[Service, Image]:
        for service in self._services.values():
            if any(image.id == given.get("id") for image in service.deployments):
                return service, service.find(str(given.get("id")))
        raise Rejected(200, "NOT_FOUND", "Deployment not found")


def _picked(owner: Service, image: Image, asked: set[str]) -> dict[str, Any]:
    """Return those fields of a deployment that were asked for."""
    node = {
        "id": image.id,
        "status": image.status,
        "createdAt": _moment(image.created),
        "canRollback": owner.can_roll_back(image),
        "canRedeploy": True,
        "projectId": owner.project_id,
        "environmentId": owner.environment_id,
        "serviceId": owner.id,
        "url": None,
        "staticUrl": None,
        "creator": {"name": "dev"},
        "meta": {
            "branch": "main",
            "commitHash": image.commit,
            "commitMessage": image.message,
            "imageDigest": image.digest,
            "reason": image.reason,
        },
    }
    return {name: value for name, value in node.items() if name in asked}


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


SIMULATOR = RailwayApi
