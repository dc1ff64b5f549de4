"""What can be changed at Neon, as literal acts. Nothing here is sent."""

from __future__ import annotations

from opslib.acts import Request


def create_branch(project: str, parent: str, name: str, moment: str, expires: str) -> Request:
    """Begin a branch at a moment of another branch's history, with a compute to read it by.

    The parent is not touched. Neon takes times with seconds and no finer.

    Args:
        project: the project's id.
        parent: id of the branch whose history it is.
        name: of the new branch.
        moment: where it begins, RFC 3339 in UTC.
        expires: when Neon removes it by itself, RFC 3339 in UTC.
    """
    branch = {"parent_id": parent, "name": name, "parent_timestamp": moment, "expires_at": expires}
    body = {"branch": branch, "endpoints": [{"type": "read_write"}]}
    return Request("neon", "POST", f"/projects/{project}/branches", {}, body)
