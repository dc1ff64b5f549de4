"""What the simulated Vercel says of a project and its deployments, in the shapes of its specification."""

from __future__ import annotations

from typing import Any

from opslib.sandbox.hosting import PREVIEW, PRODUCTION, Deployment, Project
from opslib.sandbox.variables import hashed

_BUILD_MS = 95_000


def deployment_json(owner: Project, deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as `GET /v7/deployments` lists it."""
    known = {
        "uid": deployment.id,
        "created": deployment.created,
        "ready": _ready(deployment),
        "source": "git",
        "state": deployment.state,
        "aliasAssigned": _ready(deployment) + 1_000,
        "isRollbackCandidate": deployment in owner.candidates(),
        "target": PRODUCTION if deployment.target == PRODUCTION else None,
    }
    return _common(owner, deployment) | known


def document(owner: Project, deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as `GET /v13/deployments/{id}` tells of it, and as it is told when it is made.

    `env` holds the names of the variables that it was built with.
    """
    names = sorted(deployment.variables)
    known = {
        "id": deployment.id,
        "status": deployment.state,
        "aliasAssigned": deployment.state == "READY",
        "bootedAt": deployment.created + 500,
        "buildSkipped": False,
        "build": {"env": names},
        "env": names,
        "isInConcurrentBuildsQueue": False,
        "isInSystemBuildsQueue": False,
        "projectSettings": {},
        "public": False,
        "regions": ["iad1"],
        "version": 2,
        "plan": owner.plan,
        "createdIn": "iad1",
        "ownerId": f"team_{hashed(owner.system)[:24]}",
        "routes": None,
        "target": PRODUCTION if deployment.target == PRODUCTION else None,
    }
    return _common(owner, deployment) | known


def project_json(owner: Project) -> dict[str, Any]:
    """Return a project as `GET /v9/projects/{id}` does."""
    serving = owner.serving
    return {
        "id": owner.id,
        "name": owner.system,
        "targets": {"production": {"id": serving.id, "readyState": serving.state}},
        "lastAliasRequest": _last_request(owner),
    }


def aliases_json(owner: Project, *, failed_only: bool) -> dict[str, Any]:
    """Return the domains of the latest request as `GET /v1/projects/{id}/promote/aliases` does."""
    request = owner.request
    status = request.status(owner.clock()) if request else ""
    words = {"succeeded": "completed", "failed": "failed"}.get(status, "pending")
    wanted = request is not None and (words == "failed" or not failed_only)
    aliases = [{"status": words, "alias": f"{owner.system}.app", "id": hashed(owner.system)[:16]}] * wanted
    return {"aliases": aliases, "pagination": {"count": len(aliases), "next": None, "prev": None}}


def _common(owner: Project, deployment: Deployment) -> dict[str, Any]:
    substate = {"readySubstate": deployment.substate} if deployment.state == "READY" else {}
    return substate | {
        "name": owner.system,
        "projectId": owner.id,
        "url": deployment.url,
        "createdAt": deployment.created,
        "buildingAt": deployment.created + 1_000,
        "readyState": deployment.state,
        "type": "LAMBDAS",
        "creator": {"uid": f"usr_{hashed('dev')[:20]}", "username": "dev", "githubLogin": "dev"},
        "meta": {
            "githubCommitSha": deployment.commit,
            "githubCommitRef": "main" if deployment.target != PREVIEW else "draft",
            "githubCommitMessage": deployment.message,
            **dict(deployment.notes),
        },
        "aliasError": None,
        "inspectorUrl": f"https://vercel.com/team/{owner.system}/{deployment.id[4:]}",
    }


def _last_request(owner: Project) -> dict[str, Any] | None:
    request = owner.request
    if request is None:
        return None
    return {
        "fromDeploymentId": request.source,
        "toDeploymentId": request.to,
        "jobStatus": request.status(owner.clock()),
        "requestedAt": request.asked,
        "type": request.type,
    }


def _ready(deployment: Deployment) -> int:
    return deployment.ready or deployment.created + _BUILD_MS
