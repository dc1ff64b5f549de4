"""Railway: the deployments of one service in one environment. Reads only, by GraphQL.

Railway has no address for a single deployment, so an earlier one cannot be tried before it serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd

from opslib.errors import Forbidden, Malformed
from opslib.http.client import BEARER
from opslib.vendors.base import VendorClient
from opslib.vendors.railway_rows import nodes, row, rows
from opslib.vendors.vercel import DEPLOYMENTS

PROJECT_TOKEN = ("project-access-token", "")
_FIELDS = "id createdAt status canRollback url meta creator { name }"
DOCUMENTS = {
    "deployments": (
        "query deployments($input: DeploymentListInput!, $first: Int!) "
        f"{{ deployments(input: $input, first: $first) {{ edges {{ node {{ {_FIELDS} }} }} }} }}"
    ),
    "deployment": f"query deployment($id: String!) {{ deployment(id: $id) {{ {_FIELDS} }} }}",
}


class Railway(VendorClient):
    """Reads one Railway service.

    Args:
        access: settings `project`, `environment` and `service` (ids); `token_kind: account` where the
            token is an account's or a workspace's, as a project's token is sent in another header.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str] = "railway"
    API: ClassVar[str] = "https://backboard.railway.com/graphql/v2"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "deployments": DEPLOYMENTS,
        "deployment": DEPLOYMENTS,
        "probe": ("ok", "account", "detail"),
    }

    def _token_header(self) -> tuple[str, str]:
        kind = self._access.settings.get("token_kind", "project")
        return PROJECT_TOKEN if kind == "project" else BEARER

    def deployments(self, limit: int = 5) -> pd.DataFrame:
        """Return the latest deployments, the newest first.

        Args:
            limit: how many at most.

        Returns:
            The columns that Vercel's have: state in the same words, with Railway's own beside it in
            substate; current marks the newest one that runs; rollback_candidate is Railway's
            canRollback; commit is the image where no commit is known.

        Raises:
            SourceError: Railway could not be asked.
        """
        where = {f"{name}Id": self._setting(name) for name in ("project", "environment", "service")}
        answer = self._ask("deployments", {"input": where, "first": limit})
        return pd.DataFrame(rows(nodes(answer)), columns=list(DEPLOYMENTS))

    def deployment(self, name: str) -> pd.DataFrame:
        """Return one deployment by its id; no row if there is none, or no id is given.

        Returns:
            The same columns; current is False, as one alone does not tell.
        """
        try:
            found = self._ask("deployment", {"id": name}) if name else None
        except Malformed as error:
            if error.kind != "rejected" or "not found" not in error.message.lower():
                raise
            found = None
        kept = [{**row(found), "current": False}] if isinstance(found, dict) else []
        return pd.DataFrame(kept, columns=list(DEPLOYMENTS))

    def probe(self) -> pd.DataFrame:
        """Read one deployment: proves token, project, environment and service at once."""
        found = self.deployments(limit=1)
        seen = f"{len(found)} deployment" if len(found) else "no deployment yet"
        return pd.DataFrame([{"ok": True, "account": self._setting("project"), "detail": seen}])

    def _ask(self, operation: str, given: Mapping[str, Any]) -> Any:
        body = {"operationName": operation, "query": DOCUMENTS[operation], "variables": dict(given)}
        try:
            document = self._client.ask("", body).json
        except Malformed as error:
            if error.kind == "rejected" and "not authorized" in error.message.lower():
                raise Forbidden(error.message, kind="permission") from error
            raise
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict) or operation not in data:
            raise Malformed("railway answered without data")
        return data[operation]


CLIENT = Railway
