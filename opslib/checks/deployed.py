"""Is the code that serves to blame? Compare the serving deployment with earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

BAD = Cause("bad-deploy", "the deployment that serves is broken", 40)
NEXT = "rollback"
EXPECTED = "the serving deployment is READY and works"
_REFUSES_TO_TELL = (0, 401, 403, 404)


@dataclass(frozen=True)
class _Serving:
    id: str
    commit: str
    created: pd.Timestamp
    state: str

    @property
    def label(self) -> str:
        return f"{self.commit[:7] or self.id} of {self.created:%Y-%m-%d %H:%M} UTC"


def judge(
    deployments: pd.DataFrame,
    answers: pd.DataFrame,
    *,
    fails: bool,
    explained: bool,
    young: timedelta,
    now: datetime,
) -> Finding:
    """Find whether the serving deployment is to blame for a failing app.

    It is when the app fails, an earlier deployment has other code, and either that one still works
    at its own address, or the serving one is young and the earlier one does not fail alike. It is
    not when an earlier deployment has the same code and does not fail alike, or when it fails now and
    then only.

    Args:
        deployments: as `Vercel.deployments` returns them.
        answers: as `Vercel.answers` returns them.
        fails: the app answers with errors.
        explained: something else accounts for the errors.
        young: age up to which a deployment is a suspect.
        now: time of the look.
    """
    if blind := compare.blind("deployment", deployments, expected=EXPECTED):
        return blind
    serving = _serving(deployments)
    if serving is None:
        return compare.unknown("deployment", "no deployment serves production", expected=EXPECTED)
    if serving.state != "READY":
        why = f"{serving.label} is {serving.state}"
        status = Status.CRITICAL if fails else Status.WARNING
        return Finding("deployment", status, "", why, "READY", EXPECTED, BAD.text, NEXT, BAD)
    if not fails:
        return _calm(deployments, serving)
    if blind := compare.blind("deployment", answers, expected=EXPECTED):
        return blind
    return _suspect(serving, answers, explained=explained, recent=now - serving.created <= young)


def serving_code(deployments: pd.DataFrame, answers: pd.DataFrame) -> int:
    """Return the status with which the serving deployment answers at its own address; 0: not known."""
    if frames.reason(deployments) or frames.reason(answers):
        return 0
    serving = _serving(deployments)
    own = answers[answers["id"] == serving.id] if serving else answers.head(0)
    return int(own.iloc[0]["status_code"]) if len(own) else 0


def _serving(deployments: pd.DataFrame) -> _Serving | None:
    current = deployments[deployments["current"].astype(bool)]
    if current.empty:
        return None
    row = current.iloc[0]
    return _Serving(str(row["id"]), str(row["commit"]), pd.Timestamp(row["created"]), str(row["state"]))


def _calm(deployments: pd.DataFrame, serving: _Serving) -> Finding:
    newest = deployments.iloc[0]
    if newest["state"] == "ERROR":
        seen = f"{serving.label} serves; the newest build failed"
        why = f"the newest build never went live: {newest['error'] or 'see its build log'}"
        return Finding("deployment", Status.WARNING, "", seen, "", EXPECTED, why)
    return Finding("deployment", Status.OK, "", f"{serving.label} serves", "", EXPECTED)


def _suspect(serving: _Serving, answers: pd.DataFrame, *, explained: bool, recent: bool) -> Finding:
    own = answers[answers["id"] == serving.id]
    status = int(own.iloc[0]["status_code"]) if len(own) else 500
    if len(own) and not own.iloc[0]["steady"]:
        why = (
            "it fails for some and works for others: rather a feature, a vendor or load than its code as such"
        )
        return Finding("deployment", Status.OK, "", f"{serving.label} serves", "", EXPECTED, why)
    others = answers[(answers["id"] != serving.id) & answers["steady"].astype(bool)]
    twins = others[others["commit"] == serving.commit]
    if len(twins) and not (status >= 500 and (twins["status_code"] == status).all()):
        why = "an earlier deployment has the same code: if they differ, then in what they were built with"
        return Finding("deployment", Status.OK, "", f"{serving.label} serves", "", EXPECTED, why)
    before = others[others["commit"] != serving.commit]
    works = before[before["status_code"].between(200, 399)]
    if status >= 500 and len(works):
        good = str(works.iloc[0]["commit"])[:7]
        return _blame(serving, f"{good} before it still works: promote that one")
    told = before[~before["status_code"].isin(_REFUSES_TO_TELL)]
    if recent and len(told) and (told["status_code"] != status).all():
        return _blame(serving, "it is new, and the one before it fails in another way")
    if recent and not explained and len(before) and told.empty:
        return _blame(serving, "it is new, and nothing else explains the errors")
    why = "an earlier deployment fails in the same way" if len(told) else "its code did not change"
    if not len(told) and len(before):
        why = "the earlier deployments cannot be asked, but it is not new"
    return Finding("deployment", Status.OK, "", f"{serving.label} serves", "", EXPECTED, why)


def _blame(serving: _Serving, why: str) -> Finding:
    seen = f"{serving.label} fails"
    return Finding("deployment", Status.CRITICAL, "", seen, "", EXPECTED, why, NEXT, BAD)
