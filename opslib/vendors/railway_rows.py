"""What Railway's answers become: plain rows, in the words that all hosting vendors share here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from opslib.errors import Malformed

# Railway's word -> ours. A removed deployment is one that served before: its image may be kept.
_STATES = {
    "SUCCESS": "READY",
    "SLEEPING": "READY",
    "REMOVED": "READY",
    "REMOVING": "READY",
    "CRASHED": "ERROR",
    "FAILED": "ERROR",
    "BUILDING": "BUILDING",
    "DEPLOYING": "BUILDING",
    "INITIALIZING": "QUEUED",
    "QUEUED": "QUEUED",
    "WAITING": "QUEUED",
    "NEEDS_APPROVAL": "QUEUED",
    "SKIPPED": "CANCELED",
}
SERVING = ("SUCCESS", "SLEEPING", "CRASHED")
UNDER_WAY = ("BUILDING", "DEPLOYING", "INITIALIZING", "QUEUED")


def nodes(data: Any) -> list[dict[str, Any]]:
    """Return the deployments of a connection.

    Raises:
        Malformed: it holds none.
    """
    edges = data.get("edges") if isinstance(data, dict) else None
    if not isinstance(edges, list):
        raise Malformed("railway answered without a list of deployments")
    found = [edge.get("node") if isinstance(edge, dict) else None for edge in edges]
    kept = [node for node in found if isinstance(node, dict) and node.get("id")]
    if len(kept) != len(edges):
        raise Malformed("railway answered with something else than deployments")
    return kept


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return deployments in our words, the newest first; the newest one that runs serves."""
    made = sorted((row(node) for node in found), key=lambda made: made["created"], reverse=True)
    current = next((one["id"] for one in made if one["substate"] in SERVING), "")
    return [{**one, "current": one["id"] == current} for one in made]


def row(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return one deployment, without `current`."""
    raw = node.get("meta")
    meta = raw if isinstance(raw, dict) else {}
    status = str(node.get("status") or "")
    if status not in _STATES:
        raise Malformed(f"railway knows a state that opslib does not: {status or 'none'}")
    return {
        "id": str(node["id"]),
        "created": pd.to_datetime(str(node.get("createdAt") or ""), utc=True),
        "state": _STATES[status],
        "substate": status,
        "target": "production",
        "commit": str(meta.get("commitHash") or meta.get("imageDigest") or meta.get("image") or ""),
        "branch": str(meta.get("branch") or ""),
        "message": str(meta.get("commitMessage") or "").split("\n")[0][:80],
        "author": str((node.get("creator") or {}).get("name") or ""),
        "rollback_candidate": bool(node.get("canRollback", False)),
        "url": str(node.get("url") or ""),
        "error": "",
        "mark": "",
    }
