"""Files that no policy guards: the public buckets of Supabase's storage, as its database lists them."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Finding, Status

COLUMNS = ("buckets",)
_SCHEMA, _TABLE = "storage", "buckets"
_CHECK = "public buckets"
_HIDDEN = "row level security hides buckets from our role: give opslib_monitor bypassrls"
_MEANT = "each is meant for whoever has the address"


class Asks(Protocol):
    """What is needed of a database: `ops.pg` has it."""

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement that reads."""


def look(database: Asks) -> pd.DataFrame:
    """Ask which buckets are public.

    Args:
        database: where to look.

    Returns:
        One row: buckets; none where there is no such storage.
    """
    there = database.table("relation", schema=_SCHEMA, name=_TABLE)
    if reason := frames.reason(there):
        return frames.unavailable(COLUMNS, reason)
    if there.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    if there["filtered"].iloc[0]:
        return frames.unavailable(COLUMNS, _HIDDEN)
    return database.table("public_buckets", table=[_SCHEMA, _TABLE])


def judged(buckets: pd.DataFrame) -> Finding:
    """List the public buckets: their files are read without any policy.

    Args:
        buckets: what `look` returns.
    """
    if reason := frames.reason(buckets):
        return compare.unknown(_CHECK, reason, expected=_MEANT)
    if buckets.empty:
        return compare.skipped(_CHECK, "no storage of Supabase in this database")
    found = buckets["buckets"].iloc[0]
    return Finding(
        _CHECK, Status.OK, "", f"{len(found)}: {', '.join(found)}" if found else "none", "", _MEANT
    )
