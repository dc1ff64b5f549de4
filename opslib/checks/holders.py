"""Who holds the connection slots, and whether our role can see it at all."""

from __future__ import annotations

import pandas as pd

from opslib import frames

BY_APPLICATION = ("application", "total", "active", "idle", "idle_in_transaction")


def by_application(owners: pd.DataFrame) -> pd.DataFrame:
    """Return the sessions by application, the most first.

    Args:
        owners: statement `connections_by_owner`.

    Returns:
        application, total, active, idle, idle_in_transaction; the reason where there is none.
    """
    if reason := frames.reason(owners):
        return frames.unavailable(BY_APPLICATION, reason)
    counts = owners.groupby("application", as_index=False)[list(BY_APPLICATION[1:])].sum()
    return counts.sort_values(["total", "application"], ascending=[False, True], ignore_index=True)


def holders(owners: pd.DataFrame, most: int = 3) -> str:
    """Return the applications with most sessions, as `api 112, cron 38 and 4 others`, or "".

    Args:
        owners: statement `connections_by_owner`.
        most: how many to name.
    """
    counts = by_application(owners)
    named = ", ".join(f"{row.application} {row.total}" for row in counts.head(most).itertuples())
    rest = len(counts) - most
    return f"{named} and {rest} other{'s' if rest > 1 else ''}" if rest > 0 else named


def usable(headroom: pd.DataFrame) -> float | None:
    """Return how many slots ordinary logins can have, or None when the server did not say.

    Args:
        headroom: statement `connections_headroom`.
    """
    return None if frames.reason(headroom) or headroom.empty else float(headroom.iloc[0]["usable"])


def blind(headroom: pd.DataFrame) -> str:
    """Return why the sessions of others can't be judged, or "" when they can.

    Args:
        headroom: statement `connections_headroom`.
    """
    reason = frames.reason(headroom)
    if reason or headroom.empty:
        return reason or "the server did not say how many sessions there are"
    hidden, used = int(headroom.iloc[0]["hidden"]), int(headroom.iloc[0]["used"])
    if not hidden:
        return ""
    return f"{hidden} of {used} sessions hide from our role what they do: grant pg_monitor to it"
