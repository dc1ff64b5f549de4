"""What can be done with a Vercel project's deployments, as literal acts. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from opslib.acts import Request

PRODUCTION = "production"


def rollback(project: str, deployment: str, *, team: str = "", why: str = "") -> Request:
    """Point the production domains at a deployment that served before; nothing is built.

    From then on new deployments no longer go live by themselves, until one is promoted.

    Args:
        project: id of the project.
        deployment: id of the deployment to go back to.
        team: id or short name of the team, or nothing.
        why: the reason, which Vercel shows beside it.
    """
    path = f"/v1/projects/{quote(project)}/rollback/{quote(deployment)}"
    return Request("vercel", "POST", path, team_of(team) | ({"description": why} if why else {}), {})


def promote(project: str, deployment: str, *, team: str = "") -> Request:
    """Point the production domains at a production deployment; nothing is built, and 202 means queued.

    From then on new deployments go live by themselves again. For a production deployment only: of a
    preview a new one would have to be built.
    """
    path = f"/v10/projects/{quote(project)}/promote/{quote(deployment)}"
    return Request("vercel", "POST", path, team_of(team), {})


def redeploy(
    name: str,
    deployment: str,
    *,
    team: str = "",
    target: str = PRODUCTION,
    meta: Mapping[str, str] | None = None,
) -> Request:
    """Build the code of a deployment again, with the variables as they are then.

    It goes live once it is built, unless production was rolled back and nothing was promoted since.

    Args:
        name: name of the project.
        deployment: id of the deployment whose code it is.
        team: id or short name of the team, or nothing.
        target: production or preview.
        meta: notes by which it can be found again.
    """
    noted = {"action": "redeploy", **(meta or {})}
    body: dict[str, object] = {"deploymentId": deployment, "name": name, "meta": noted}
    if target == PRODUCTION:
        body["target"] = PRODUCTION
    return Request("vercel", "POST", "/v13/deployments", {"forceNew": "1", **team_of(team)}, body)


def team_of(team: str) -> dict[str, str]:
    """Return the query parameter that names a team: Vercel has one for ids and one for short names."""
    if not team:
        return {}
    return {"teamId" if team.startswith("team_") else "slug": team}
