"""The simulated hosting vendor: projects with deployments and variables, in Vercel's own words."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opslib.sandbox import variables as env
from opslib.sandbox.names import DOMAIN

HOUR_MS = 3_600_000
_AGES_H = (26.0, 74.0, 170.0, 340.0, 510.0)
_MESSAGES = (
    "Show the plan on the settings page",
    "Keep the session when the tab is reloaded",
    "Load the list page by page",
    "Raise dependencies",
    "Make the first paint faster",
)


@dataclass(frozen=True)
class Deployment:
    """One deployment of a project.

    Args:
        id: Vercel's `dpl_...`.
        commit: commit it was built from.
        message: first line of the commit message.
        created: milliseconds since 1970.
        url: its own address, apart from the site's.
        variables: names of the variables that it was built with.
        broken: its code fails on every page.
        state: Vercel's readyState.
    """

    id: str
    commit: str
    message: str
    created: int
    url: str
    variables: frozenset[str]
    broken: bool = False
    state: str = "READY"


@dataclass
class Project:
    """One system's project; the app runs whatever `current` is.

    Args:
        system: name of the system.
        port: port of its app, for the addresses of deployments.
        variables: by id; a deployment takes the names that are set when it is built.
        deployments: the newest first.
        current: id of the deployment that serves production.
    """

    system: str
    port: int
    variables: env.Variables = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    current: str = ""

    @property
    def id(self) -> str:
        """Vercel's `prj_...`."""
        return f"prj_{_hash(self.system)[:24]}"

    @property
    def serving(self) -> Deployment:
        """The deployment that serves production."""
        return self.find(self.current)

    def find(self, name: str) -> Deployment:
        """Return a deployment by id or host name.

        Raises:
            KeyError: there is none.
        """
        for deployment in self.deployments:
            if name in (deployment.id, deployment.url.split("://")[1].split(":")[0]):
                return deployment
        raise KeyError(name)

    def deploy(
        self, commit: str, message: str, *, created: int | None = None, broken: bool = False
    ) -> Deployment:
        """Add a production deployment with the variables as they are now, and let it serve."""
        moment = _now() if created is None else created
        mark = _hash(f"{self.system} {commit} {moment} {len(self.deployments)}")
        url = f"http://{self.system}-{mark[:9]}.{DOMAIN}:{self.port}"
        made = Deployment(f"dpl_{mark[:24]}", commit, message, moment, url, env.names(self.variables), broken)
        self.deployments.insert(0, made)
        self.current = made.id
        return made

    def promote(self, deployment: str) -> None:
        """Let an existing deployment serve production.

        Raises:
            KeyError: there is none of that id.
        """
        self.current = self.find(deployment).id

    def withdraw(self, deployment: str, before: str) -> None:
        """Take a deployment away as if it had never been.

        Args:
            deployment: its id.
            before: id of the one to serve if the withdrawn one serves; the newest if that is gone too.
        """
        self.deployments = [kept for kept in self.deployments if kept.id != deployment]
        if self.current == deployment:
            left = [kept.id for kept in self.deployments]
            self.current = before if before in left else left[0]


def project(system: str, port: int, variables: Iterable[str]) -> Project:
    """Return a system's project with a plausible past: five good deployments, the newest serving."""
    now = _now()
    made = Project(system, port, env.made(system, variables, now - 600 * HOUR_MS))
    for number, (age, message) in enumerate(zip(reversed(_AGES_H), reversed(_MESSAGES), strict=True)):
        commit = hashlib.sha1(f"{system} {number}".encode(), usedforsecurity=False).hexdigest()
        made.deploy(commit, message, created=now - int(age * HOUR_MS))
    return made


def deployment_json(owner: Project, deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as `GET /v7/deployments` lists it."""
    serving = deployment.id == owner.current
    return {
        "uid": deployment.id,
        "name": owner.system,
        "projectId": owner.id,
        "url": deployment.url,
        "created": deployment.created,
        "createdAt": deployment.created,
        "buildingAt": deployment.created + 1_000,
        "ready": deployment.created + 95_000,
        "source": "git",
        "state": deployment.state,
        "readyState": deployment.state,
        "readySubstate": "PROMOTED",
        "type": "LAMBDAS",
        "creator": {"uid": f"usr_{_hash('dev')[:20]}", "username": "dev", "githubLogin": "dev"},
        "meta": {
            "githubCommitSha": deployment.commit,
            "githubCommitRef": "main",
            "githubCommitMessage": deployment.message,
        },
        "target": "production",
        "aliasError": None,
        "aliasAssigned": deployment.created + 96_000,
        "isRollbackCandidate": deployment.state == "READY" and not serving,
        "inspectorUrl": f"https://vercel.com/team/{owner.system}/{deployment.id[4:]}",
    }


def project_json(owner: Project) -> dict[str, Any]:
    """Return a project as `GET /v9/projects/{id}` does."""
    return {
        "id": owner.id,
        "name": owner.system,
        "targets": {"production": {"id": owner.current, "readyState": owner.serving.state}},
        "lastAliasRequest": None,
    }


def _now() -> int:
    return int(time.time() * 1000)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
