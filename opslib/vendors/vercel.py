"""Vercel: deployments, the project and the names of its environment variables. Reads only.

The deployment that serves production is the one that the project's production target names; where
the answer has no targets, the newest production deployment that was promoted counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pandas as pd

from opslib.errors import Malformed, SourceError
from opslib.http import ONCE, Client, failures
from opslib.vendors.vercel_rows import (
    deployment_row,
    listed,
    moment,
    next_page,
    production_id,
    promoted,
)
from opslib.vendors.vercel_variable_acts import accepted
from opslib.vendors.vercel_variables import BUILT_WITH, VARIABLES, VariableReads

if TYPE_CHECKING:
    from opslib.acts import Opening
    from opslib.http import Answer

_PAGE = 100
_ASKS = 3
_ERROR = 400

DEPLOYMENTS = (
    "id", "created", "state", "substate", "target", "commit", "branch", "message", "author",
    "current", "rollback_candidate", "url", "error", "mark",
)  # fmt: skip
ANSWERS = ("id", "commit", "url", "path", "status_code", "ms", "error", "error_kind", "steady")
PROJECT = (
    "id", "name", "production_deployment", "last_request", "last_request_state", "last_request_from",
    "last_request_to", "last_request_at", "paused",
)  # fmt: skip


class Vercel(VariableReads):
    """Reads one Vercel project.

    Args:
        access: settings `project` (id or name) and, for a team, `team`; the token may be read-only.
        resolver: name server to ask, for the deployments' own addresses too.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str] = "vercel"
    API: ClassVar[str] = "https://api.vercel.com"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "deployments": DEPLOYMENTS,
        "deployment": DEPLOYMENTS,
        "answers": ANSWERS,
        "environment_variables": VARIABLES,
        "built_with": BUILT_WITH,
        "project": PROJECT,
        "probe": ("ok", "account", "detail"),
    }

    def deployments(self, limit: int = 5, target: str = "production") -> pd.DataFrame:
        """Return the latest deployments, the newest first.

        Args:
            limit: how many at most.
            target: production, staging or preview.

        Returns:
            Columns `DEPLOYMENTS`: created is a time in UTC; state is Vercel's readyState; current
            marks the one that serves production; url is the deployment's own address; mark is what
            opslib put on one that it had built.

        Raises:
            SourceError: Vercel could not be asked.
        """
        serving = self._serving()
        found: list[dict[str, Any]] = []
        first: dict[str, str | int] = {
            "projectId": self._project,
            "target": target,
            "limit": min(limit, _PAGE),
        }
        first |= self._team
        for page in self._client.pages("/v7/deployments", first, next_page):
            found += listed(page, "deployments")
            if len(found) >= limit:
                break
        rows = [deployment_row(entry) for entry in found[:limit]]
        current = serving or next((row["id"] for row in rows if promoted(row)), "")
        return pd.DataFrame(
            [{**row, "current": row["id"] == current} for row in rows], columns=list(DEPLOYMENTS)
        )

    def deployment(self, name: str) -> pd.DataFrame:
        """Return one deployment, whatever its target is; no row if there is none, or no name is given.

        Args:
            name: its id, or its own host name.

        Returns:
            Columns `DEPLOYMENTS`; rollback_candidate is False, as Vercel tells that in lists only.
        """
        found = self._read_deployment(name) if name else None
        if found is None:
            return pd.DataFrame(columns=list(DEPLOYMENTS))
        row = deployment_row({**found, "uid": found.get("id"), "created": found.get("createdAt")})
        return pd.DataFrame([{**row, "current": row["id"] == self._serving()}], columns=list(DEPLOYMENTS))

    def answers(self, path: str = "/", limit: int = 2) -> pd.DataFrame:
        """Ask the latest production deployments themselves, past the site's own name.

        Args:
            path: path to read, best a health endpoint.
            limit: how many good deployments (state READY) to ask, the current one among them.

        Returns:
            Columns `ANSWERS`, the newest deployment first; status_code is 0 where error says why
            no answer came; steady says that a deployment answers the same each time it is asked, which
            is three times where one of them fails.
        """
        deployments = self.deployments(limit=20)
        ready = deployments[deployments["state"] == "READY"].head(limit)
        asked = [self._ask(row, path) for _, row in ready.iterrows()]
        if not all(200 <= told["status_code"] < _ERROR for told in asked):
            asked = [self._ask_again(told) for told in asked]
        return pd.DataFrame(asked, columns=list(ANSWERS))

    def project(self) -> pd.DataFrame:
        """Return one row about the project.

        Returns:
            Columns `PROJECT`: last_request is promote, rollback or nothing; its state is pending,
            in-progress, succeeded, failed or skipped; it leads from one deployment to another; at, in UTC.
        """
        entry = self._read_project()
        request = entry.get("lastAliasRequest") or {}
        row = {
            "id": entry.get("id", ""),
            "name": entry.get("name", ""),
            "production_deployment": production_id(entry),
            "last_request": request.get("type", ""),
            "last_request_state": request.get("jobStatus", ""),
            "last_request_from": request.get("fromDeploymentId", ""),
            "last_request_to": request.get("toDeploymentId", ""),
            "last_request_at": moment(request.get("requestedAt")),
            "paused": bool(entry.get("paused", False)),
        }
        return pd.DataFrame([row], columns=list(PROJECT))

    def probe(self) -> pd.DataFrame:
        """Read the project: proves token, team and project at once."""
        entry = self._read_project()
        return pd.DataFrame([{"ok": True, "account": self._project, "detail": entry.get("name", "")}])

    def act(self, opening: Opening) -> Answer:
        """Carry out the act of an opening, once.

        Raises:
            Refused: Vercel answered with success, and with a list of what failed.
        """
        return accepted(self._client.act(opening))

    def _read_project(self) -> dict[str, Any]:
        answer = self._client.get(f"/v9/projects/{quote(self._project)}", params=self._team).json
        if not isinstance(answer, dict) or "id" not in answer:
            raise Malformed("vercel answered with something else than a project")
        return answer

    def _read_deployment(self, name: str) -> dict[str, Any] | None:
        path = f"/v13/deployments/{quote(name, safe='')}"
        answer = self._client.fetch(path, params=self._team)
        if answer.status_code == 404:
            return None
        if error := failures.from_status(answer.status_code, answer.headers, "vercel", path):
            raise error
        document = answer.json
        if not isinstance(document, dict) or "id" not in document:
            raise Malformed("vercel answered with something else than a deployment")
        return document

    def _serving(self) -> str:
        return production_id(self._read_project())

    def _ask(self, deployment: pd.Series, path: str) -> dict[str, Any]:
        url = str(deployment["url"])
        row = {"id": deployment["id"], "commit": deployment["commit"], "url": url, "path": path}
        with self._deployment(url) as client:
            return {**row, **_answer(client, path), "steady": True}

    def _ask_again(self, told: dict[str, Any]) -> dict[str, Any]:
        """Ask a few times more: code may fail for some and work for others."""
        if not told["status_code"]:
            return told
        with self._deployment(told["url"]) as client:
            others = (_answer(client, told["path"])["status_code"] for _ in range(_ASKS - 1))
            return {**told, "steady": all(other == told["status_code"] for other in others)}

    def _deployment(self, url: str) -> Client:
        return Client(url, name="deployment", resolver=self._resolver, policy=ONCE, on_call=self._on_call)


def _answer(client: Client, path: str) -> dict[str, Any]:
    try:
        answer = client.fetch(path)
    except SourceError as error:
        return {"status_code": 0, "ms": None, "error": error.message, "error_kind": error.kind}
    return {"status_code": answer.status_code, "ms": answer.ms, "error": "", "error_kind": ""}


CLIENT = Vercel
