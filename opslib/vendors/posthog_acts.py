"""What can be changed at PostHog, as literal acts. Nothing here is sent."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from opslib.acts import Request


def update(
    project: str, number: int, seen: Mapping[str, Any], wanted: Mapping[str, Any], version: int
) -> Request:
    """Set what differs of one flag's `active` and `filters`, unless somebody else changes it first.

    PostHog takes the number of a flag, never its key. It answers 409 where the version is not the
    one sent and a field that is being changed is no longer as in `original_flag`; a version alone
    prevents nothing.

    Args:
        project: number of the project.
        number: number of the flag.
        seen: `active` and the whole `filters` as they are before.
        wanted: the same as they shall be.
        version: the flag's version when it was looked at.
    """
    body = {name: value for name, value in wanted.items() if value != seen[name]}
    guard = {"version": version, "original_flag": {name: seen[name] for name in body}}
    return Request(
        "posthog", "PATCH", f"/api/projects/{project}/feature_flags/{number}/", {}, {**body, **guard}
    )


def rolled_out(filters: Mapping[str, Any], percent: int) -> dict[str, Any]:
    """Return the filters of a flag with one condition, met by so many percent of those it fits."""
    (group,) = filters["groups"]
    return {**copy.deepcopy(dict(filters)), "groups": [{**group, "rollout_percentage": percent}]}
