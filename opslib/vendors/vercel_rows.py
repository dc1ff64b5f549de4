"""What Vercel's answers become: plain rows, in our words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib.errors import Malformed
from opslib.vendors.vercel_notes import back_to


def next_page(page: Any) -> dict[str, int] | None:
    """Return the parameters that lead to the next page, or None at the end."""
    pagination = page.get("pagination") if isinstance(page, dict) else None
    following = pagination.get("next") if isinstance(pagination, dict) else None
    return {"until": int(following)} if following else None


def listed(page: Any, key: str) -> list[dict[str, Any]]:
    """Return the list that a page must hold.

    Raises:
        Malformed: it holds none.
    """
    entries = page.get(key) if isinstance(page, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Malformed(f"vercel answered without a list of {key}")
    return entries


def variables_of(page: Any) -> list[dict[str, Any]]:
    """Return the variables of a page; Vercel may answer with a single one without a list."""
    if isinstance(page, dict) and "envs" not in page and "key" in page:
        return [page]
    return listed(page, "envs")


def deployment_row(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a deployment in our words, without `current`."""
    meta = entry.get("meta") or {}
    url = str(entry.get("url") or "")
    return {
        "id": str(entry.get("uid", "")),
        "created": moment(entry.get("created")),
        "state": str(entry.get("readyState") or entry.get("state") or ""),
        "substate": str(entry.get("readySubstate") or ""),
        "target": str(entry.get("target") or "preview"),
        "commit": str(meta.get("githubCommitSha", "")),
        "branch": str(meta.get("githubCommitRef", "")),
        "message": str(meta.get("githubCommitMessage", "")).split("\n")[0][:80],
        "author": str((entry.get("creator") or {}).get("username", "")),
        "rollback_candidate": bool(entry.get("isRollbackCandidate", False)),
        "url": url if "://" in url else f"https://{url}",
        "error": str(entry.get("errorMessage") or ""),
        "mark": str(meta.get("opslib", "")),
    }


def variable_row(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a variable without its value."""
    targets = entry.get("target") or []
    several = [targets] if isinstance(targets, str) else list(targets)
    updated, comment = moment(entry.get("updatedAt")), str(entry.get("comment") or "")
    dated = pd.to_datetime(back_to(comment), utc=True, errors="coerce")
    return {
        "key": str(entry.get("key", "")),
        "target": ", ".join(several),
        "type": entry.get("type", ""),
        "updated": updated,
        "id": str(entry.get("id", "")),
        "since": updated if pd.isna(dated) else dated,
        "comment": comment,
        "managed": bool(entry.get("configurationId")),
    }


def moment(milliseconds: Any) -> Any:
    """Return a time in UTC; NaT for none."""
    return pd.to_datetime(milliseconds, unit="ms", utc=True)


def production_id(project: dict[str, Any]) -> str:
    """Return the id of the deployment that the project's production target names, or nothing."""
    target = (project.get("targets") or {}).get("production") or {}
    return str(target.get("id", ""))


def promoted(row: dict[str, Any]) -> bool:
    """Tell whether a deployment has served production."""
    return bool(
        row["state"] == "READY" and row["target"] == "production" and row["substate"] in ("", "PROMOTED")
    )
