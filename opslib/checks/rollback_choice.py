"""Which deployment production can go back to, and why that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from opslib import frames
from opslib.checks.rollback_seen import AUTO, CALLS, RAILWAY, VERCEL, Row, Seen, rows
from opslib.verdict import Cause

_SHORTEST_COMMIT = 7
_TELLS_NOTHING = (0, 401, 403, 404)
_NOT_OFFERED = "not offered by its vendor: it never served, is kept no longer, or the plan allows but one"


@dataclass(frozen=True)
class Choice:
    """What production shall be, or why it stays as it is.

    Args:
        host: vercel or railway; "" where neither could be looked at.
        kind: chosen, none (nothing to do), gone, refused or unknown.
        why: why this one, or why none.
        current: the deployment that serves, as a row of the vendor's frame.
        chosen: the deployment to go to; None leaves production as it is.
        newest: the newest deployment there is.
        passed: label -> why, of those that were passed over.
        between: how many good deployments go out of production, or into it.
        project: id of the project, where the vendor's acts need it.
    """

    host: str
    kind: str
    why: str
    current: Row = field(default_factory=dict)
    chosen: Row | None = None
    newest: Row = field(default_factory=dict)
    passed: Mapping[str, str] = field(default_factory=dict)
    between: int = 0
    project: str = ""

    @property
    def forward(self) -> bool:
        """Whether the chosen deployment is newer than the one that serves."""
        return self.chosen is not None and bool(self.chosen["created"] > self.current["created"])


@dataclass(frozen=True)
class _Picked:
    row: Row | None
    why: str
    kind: str = "chosen"
    passed: Mapping[str, str] = field(default_factory=dict)


def choose(
    seen: Seen, causes: Sequence[Cause], *, to: str = "", named: Sequence[pd.DataFrame] = ()
) -> Choice:
    """Choose what production should go back to.

    Args:
        seen: what was looked at.
        causes: what was found; without `to` only a deployment that is to blame calls for a way back.
        to: a deployment that a person wants: id, own address, or at least 7 characters of its commit.
        named: what the vendors say of `to`, previews too.
    """
    host = _host(seen, causes, to)
    if not host:
        return Choice("", "unknown", _nowhere(seen))
    if reason := frames.reason(seen.frame(host)):
        return Choice(host, "unknown", reason)
    current = seen.serving(host)
    if current is None:
        return Choice(host, "unknown", "no deployment serves production")
    if not to and CALLS[host].id not in {cause.id for cause in causes}:
        return Choice(host, "none", f"{label(current)} serves, and is not to blame", current)
    return _chosen(seen, host, current, to, [row for frame in named for row in rows(frame)])


def label(row: Row) -> str:
    """Return what people call a deployment: commit and time."""
    return f"{code(row)} of {row['created']:%Y-%m-%d %H:%M} UTC"


def code(row: Row) -> str:
    """Return the short name of a deployment's code, or its id where no commit is known."""
    commit = str(row["commit"]).removeprefix("sha256:")
    return commit[:_SHORTEST_COMMIT] or str(row["id"])


def matches(row: Row, name: str) -> bool:
    """Tell whether a deployment is the one that a person means by id, own address or commit."""
    wanted, host = name.split("://")[-1].strip("/"), str(row["url"]).split("://")[-1].strip("/")
    if not wanted:
        return False
    commit = len(wanted) >= _SHORTEST_COMMIT and str(row["commit"]).startswith(wanted)
    return commit or wanted in (row["id"], host, host.split(":")[0])


def status_of(row: Row, tried: pd.DataFrame) -> int:
    """Return what a deployment answered at its own address; 0 where it was not asked or did not answer."""
    own = tried[tried["id"] == row["id"]] if len(tried) else tried
    return int(own.iloc[0]["status_code"]) if len(own) else 0


def _host(seen: Seen, causes: Sequence[Cause], to: str) -> str:
    """Return the host that is meant: the one that knows `to`, the one to blame, the first."""
    blamed = {cause.id for cause in causes}
    knows = [host for host in seen.hosts if any(matches(row, to) for row in seen.rows(host))]
    guilty = [host for host in seen.hosts if CALLS[host].id in blamed]
    return next(iter((*knows, *guilty, *seen.hosts)), "")


def _nowhere(seen: Seen) -> str:
    wanted = "Vercel or Railway" if seen.host == AUTO else seen.host.capitalize()
    return f"{seen.env.system.name} names no project at {wanted} in its file"


def _chosen(seen: Seen, host: str, current: Row, to: str, others: Sequence[Row]) -> Choice:
    project: Row = {}
    if host == VERCEL:
        if seen.project.empty:
            reason = frames.reason(seen.project) or "nothing is known of the project"
            return Choice(host, "unknown", reason, current)
        project = rows(seen.project)[0]
    picked = _named(seen, host, to, others) if to else _last_good(seen, host, _abandoned(project))
    return Choice(
        host=host,
        kind=picked.kind,
        why=picked.why,
        current=current,
        chosen=picked.row,
        newest=seen.rows(host)[0],
        passed=picked.passed,
        between=_between(seen.rows(host), current, picked.row),
        project=str(project.get("id", "")),
    )


def _abandoned(project: Row) -> str:
    """Return the deployment that was rolled back from last, or nothing."""
    return str(project["last_request_from"]) if project.get("last_request") == "rollback" else ""


def _last_good(seen: Seen, host: str, abandoned: str) -> _Picked:
    """Search for the last deployment before the current one that served and is not known to be bad."""
    current, tried, passed = seen.serving(host) or {}, seen.tried(host), dict[str, str]()
    for row in seen.rows(host):
        if row["target"] != "production" or row["created"] >= current["created"]:
            continue
        status = status_of(row, tried)
        if objection := _objection(row, current, status, abandoned):
            passed[label(row)] = objection
            continue
        words = "the last one before it that served production"
        words += " and is not known to be bad" if passed else ""
        return _Picked(row, f"{words}; {_says(row, status)}", passed=passed)
    return _Picked(None, "no earlier deployment is left that production could go back to", "gone", passed)


def _objection(row: Row, current: Row, status: int, abandoned: str) -> str:
    """Return why a deployment is no good to go back to, or nothing."""
    if row["state"] != "READY":
        return f"it is {row['state']}"
    if not row["rollback_candidate"]:
        return f"it is {_NOT_OFFERED}"
    if status >= 500:
        return f"it answers {status} at its own address"
    if row["id"] == abandoned:
        return "production was rolled back from it before"
    if row["commit"] == current["commit"] and not 200 <= status < 400:
        return "it has the same code"
    return ""


def _named(seen: Seen, host: str, name: str, others: Sequence[Row]) -> _Picked:
    """Return the deployment that a person named, or why it cannot be taken."""
    listed = seen.rows(host)
    row = next((row for row in (*listed, *others) if matches(row, name)), None)
    if row is None:
        return _Picked(None, f"there is no deployment {name} any more, or there never was", "gone")
    status = status_of(row, seen.tried(host))
    current = seen.serving(host) or {}
    if objection := _refusal(row, current, status, host, listed=row in listed):
        return _Picked(None, f"{label(row)} {objection}", "refused")
    return _Picked(row, f"it was named; {_says(row, status)}")


def _refusal(row: Row, current: Row, status: int, host: str, *, listed: bool) -> str:
    """Return why a deployment that was named cannot be taken, or nothing."""
    if row["target"] != "production":
        return f"is a {row['target']}: for production it would have to be built anew, which is no rollback"
    if row["id"] == current["id"]:
        return "serves already"
    if row["state"] != "READY":
        return f"is {row['state']}, and only READY can serve"
    if status >= 500:
        return f"answers {status} at its own address: nobody would be better off"
    if host == RAILWAY and row["commit"] == current["commit"]:
        return "has the code that serves, so nobody could tell whether it was done: redeploy instead"
    # Going forward is a promotion, which asks for no such thing.
    older = row["created"] < current["created"]
    return f"is {_NOT_OFFERED}" if listed and not row["rollback_candidate"] and older else ""


def _between(found: Sequence[Row], one: Row, other: Row | None) -> int:
    """Return how many good production deployments lie between two, the newer one of them included."""
    if other is None:
        return 0
    first, last = sorted((one["created"], other["created"]))
    kept = [row for row in found if row["target"] == "production" and row["state"] == "READY"]
    return sum(first < row["created"] <= last for row in kept)


def _says(row: Row, status: int) -> str:
    if not row["url"]:
        return "it has no address of its own, so it cannot be tried before it serves"
    if status in _TELLS_NOTHING:
        return "its own address does not tell whether it works"
    return f"it answers {status} at its own address"
