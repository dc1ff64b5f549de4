"""Setting an environment variable at Vercel or Doppler, and building the app again with it.

The plan never holds a value: it says where the value is, and has a salted digest by which the one that
is given at last is known to be the one that was planned. A variable at Vercel is known to be ours by a
note in its comment, and by its value where Vercel gives that out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd

from opslib import site
from opslib.acts import secret_labels
from opslib.changes import Kind, Means, variable_plan
from opslib.changes.variable_wish import DOPPLER, Wish, same, wish
from opslib.config import Secret
from opslib.errors import Forbidden, Refused, SecretError, SourceError
from opslib.gate.plan import Observed, Target
from opslib.vendors.vercel_notes import back_to, mark_in
from opslib.vendors.vercel_variable_acts import BEFORE, ID, VALUE

__all__ = ["KIND", "Seen", "Variables", "Wish", "draft", "wish"]

draft, Seen = variable_plan.draft, variable_plan.Seen
_BUILDING = ("QUEUED", "INITIALIZING", "BUILDING")
_BROKEN = ("ERROR", "CANCELED", "BLOCKED")
_SWAP_S = 60.0  # so long may production take to change over to what is built


class Variables(Kind):
    """The kind of change: looks at a variable, or at the deployment that is built with it."""

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = True  # nothing is deployed for a variable that was not set
    PATIENCE_S: ClassVar[float] = 900.0

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._ready_since: float | None = None

    def observe(self, target: Target) -> Observed:
        """Look at the variable or at the deployment.

        Returns:
            Of a variable: exists, updated, type, mark. Of a deployment: production (the id that
            serves), mark (of the one that serves).

        Raises:
            SourceError: it cannot be seen, the build failed, or production does not change over.
        """
        if "serves" in target.identity:
            return self._deployment(target)
        return self._secret(target) if target.identity["where"] == DOPPLER else self._variable(target)

    def watch(self, target: Target) -> str:
        """After a deployment: return which pages fail that worked before, or nothing."""
        if "mark" not in target.after or "serves" not in target.identity or not self._settings["watch"]:
            return ""
        env = self._means.env
        right = {endpoint.name: endpoint.status_codes for endpoint in (*env.health, *env.smoke)}
        probes = site.probe(env, samples=2).to_dict("records")
        well = {row["endpoint"] for row in probes if row["status_code"] in right[row["endpoint"]]}
        failing = sorted({row["endpoint"] for row in probes} - well)
        return f"{', '.join(failing)} worked before and fails with the new deployment" if failing else ""

    def secrets(self, target: Target) -> Mapping[str, str]:
        """Return the value to be set, and what a way back must look up first.

        Raises:
            Refused: the value is not the one that was planned, or cannot be had.
        """
        found: dict[str, str] = {}
        if VALUE in secret_labels(target.act):
            found[VALUE] = self._planned_value()
        if ID in secret_labels(target.act):
            found[ID] = str(self._row(target)["id"])
        if BEFORE in secret_labels(target.act) and target.identity["where"] == DOPPLER:
            found[BEFORE] = self._means.vendor(DOPPLER).secret_value(target.identity["name"]) or ""
        return found

    def keepsakes(self, target: Target) -> Mapping[str, str]:
        """Return the value that a variable at Vercel has now, where a way back needs it.

        Raises:
            SourceError: Vercel does not give it out, so there would be no way back.
        """
        if (
            target.undo is None
            or BEFORE not in secret_labels(target.undo)
            or target.identity["where"] == DOPPLER
        ):
            return {}
        value = self._means.vendor("vercel").variable_value(str(self._row(target)["id"]))
        if value is None:
            raise SourceError(f"vercel does not give out the value that {target.name} has now")
        return {BEFORE: value}

    @property
    def _settings(self) -> Mapping[str, Any]:
        return self._means.settings

    def _planned_value(self) -> str:
        reference = Secret.parse(self._settings["reference"], self._settings["name"])
        try:
            value = reference.reveal()
        except SecretError as error:
            again = f"the value must be given again (opslib apply ... --stdin asks for it): {error.message}"
            raise Refused(again) from error
        if not same(value, self._settings["salt"], self._settings["digest"]):
            raise Refused("the value given now is not the one that was planned")
        return value

    def _is_planned(self, value: str | None) -> bool:
        """Tell whether a value is the planned one; what nobody may read is not doubted."""
        if value is None or not self._settings["digest"]:
            return True
        return same(value, self._settings["salt"], self._settings["digest"])

    def _rows(self, target: Target) -> list[dict[str, Any]]:
        place = target.identity
        frame = self._means.vendor("vercel").environment_variables(target=place["target"])
        return [
            {str(k): v for k, v in row.items()}
            for row in frame[frame["key"] == place["name"]].to_dict("records")
        ]

    def _row(self, target: Target) -> dict[str, Any]:
        rows = self._rows(target)
        if not rows:
            raise SourceError(f"{target.identity['name']} is not set any more")
        return rows[0]

    def _variable(self, target: Target) -> Observed:
        rows = self._rows(target)
        if not rows:
            return Observed({"exists": False}, text="not set")
        row = rows[0]
        updated, text = variable_plan.moment(row["updated"]), f"set at {variable_plan.moment(row['updated'])}"
        wanted = target.before.get("updated") or target.after.get("updated")
        if wanted and back_to(row["comment"]) == wanted:
            updated = wanted  # the value of then, which an undo brought back
        values = {"exists": True, "updated": updated, "type": row["type"], "mark": mark_in(row["comment"])}
        if values["mark"] == self._settings["mark"] and not self._is_planned(self._value_of(row)):
            return Observed({**values, "mark": ""}, text=f"{text}; somebody gave it another value since")
        return Observed(values, text=text)

    def _value_of(self, row: Mapping[str, Any]) -> str | None:
        try:
            value: str | None = self._means.vendor("vercel").variable_value(str(row["id"]))
        except Forbidden:
            return None
        return value

    def _secret(self, target: Target) -> Observed:
        client, name = self._means.vendor(DOPPLER), target.identity["name"]
        if name not in set(client.secret_names()["name"]):
            return Observed({"exists": False}, text="not set")
        if not self._is_planned(client.secret_value(name)):
            return Observed({"exists": True, "mark": ""}, text="set to another value")
        return Observed({"exists": True, "mark": self._settings["mark"]}, text="set to the planned value")

    def _deployment(self, target: Target) -> Observed:
        client = self._means.vendor("vercel")
        about = client.project().iloc[0]
        found = client.deployment(str(about["production_deployment"]))
        if found.empty:
            raise SourceError("vercel does not tell which deployment serves production")
        row = found.iloc[0]
        values = {"production": str(row["id"]), "mark": str(row["mark"])}
        text = f"{row['id']} serves, of {variable_plan.moment(row['created'])}"
        if "mark" not in target.after:
            return Observed(values, str(about["last_request_state"]) in ("pending", "in-progress"), text)
        latest = client.deployments(limit=20)
        built = latest[(latest["mark"] == target.after["mark"]) & (latest["id"] != row["id"])]
        if built.empty:
            return Observed(values, text=text)
        under_way = self._under_way(built.iloc[0], str(row["id"]))
        return Observed(values, under_way, f"{text}; the new one is not there yet")

    def _under_way(self, built: pd.Series, serving: str) -> bool:
        """Tell that a deployment is on its way to production.

        Raises:
            SourceError: it does not get there.
        """
        if built["state"] in _BROKEN:
            raise SourceError(f"the build of {built['id']} ended as {built['state']}: {built['error']}")
        if built["state"] in _BUILDING:
            return True
        now = time.monotonic()
        self._ready_since = self._ready_since or now
        if now - self._ready_since > _SWAP_S:
            raise SourceError(
                f"{built['id']} is built, but {serving} still serves: production does not change over by"
                " itself here, as after an instant rollback; promote it at Vercel"
            )
        return True


KIND = Variables
