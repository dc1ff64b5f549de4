"""What a Vercel project's environment variables are: names for everybody, a value only for the gate."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pandas as pd

from opslib import masking
from opslib.errors import Malformed, NotNamed, SourceError
from opslib.vendors.base import VendorClient
from opslib.vendors.vercel_acts import team_of
from opslib.vendors.vercel_rows import next_page, variable_row, variables_of

VARIABLES = ("key", "target", "type", "updated", "id", "since", "comment", "managed")
BUILT_WITH = ("name",)
# Vercel gives these out to nobody.
UNREADABLE = ("sensitive", "secret", "system")


class VariableReads(VendorClient):
    """The reads of `Vercel` that are about environment variables."""

    @property
    def _team(self) -> dict[str, str]:
        return team_of(str(self._access.settings.get("team", "")))

    def environment_variables(self, target: str = "production") -> pd.DataFrame:
        """Return the names of the project's own variables for a target; never their values.

        Variables that the whole team shares are not among them.

        Args:
            target: production, preview or development.

        Returns:
            Columns `VARIABLES`: target (comma-separated), updated (UTC), since (the time that its value
            dates from: earlier than updated where opslib has set a former value back), comment
            (somebody's note), managed (an integration sets it, and would set it again).
        """
        path = f"/v10/projects/{quote(self._project)}/env"
        pages = self._client.pages(path, self._team, next_page)
        rows = [variable_row(entry) for page in pages for entry in variables_of(page)]
        kept = [row for row in rows if target in row["target"].split(", ")]
        return pd.DataFrame(kept, columns=list(VARIABLES))

    def built_with(self, deployment: str) -> pd.DataFrame:
        """Return the names of the variables that a deployment was built with; column name.

        Args:
            deployment: its id.

        Raises:
            NotNamed: Vercel does not tell.
        """
        if not deployment:
            raise SourceError("it is not known which deployment serves production")
        answer = self._client.get(f"/v13/deployments/{quote(deployment)}", params=self._team).json
        names = answer.get("env") if isinstance(answer, dict) else None
        if not isinstance(names, list) or not names:
            raise NotNamed("Vercel does not tell which variables the deployment was built with")
        return pd.DataFrame({"name": sorted(map(str, names))}, columns=list(BUILT_WITH))

    def variable_value(self, identity: str) -> str | None:
        """Return the value of one variable, or None where Vercel gives it out to nobody.

        For the gate, which must be able to set it back; no notebook gets at it. It is masked from now on.

        Args:
            identity: the variable's id.
        """
        path = f"/v1/projects/{quote(self._project)}/env/{quote(identity)}"
        entry: Any = self._client.get(path, params=self._team).json
        if not isinstance(entry, dict) or "key" not in entry:
            raise Malformed("vercel answered with something else than a variable")
        readable = entry.get("type") == "plain" or bool(entry.get("decrypted"))
        value = entry.get("value")
        if entry.get("type") in UNREADABLE or not readable or not isinstance(value, str):
            return None
        masking.register(f"{entry['key']} at vercel", value)
        return value
