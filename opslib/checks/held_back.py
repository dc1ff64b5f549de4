"""What keeps vacuum from freezing rows: whoever holds rows that are as old as the oldest ones."""

from __future__ import annotations

import pandas as pd

from opslib import frames
from opslib.checks import compare

_AS_OLD = 0.9  # below this share of the rows' age a vacuum would give back something worth while


def holder(horizon: pd.DataFrame | None, xid_age: float) -> str:
    """Return who keeps rows of that age from being frozen, in words; nothing where nobody does.

    Args:
        horizon: the statement `xmin_horizon`; whether it could be asked is for `vacuum.old_snapshots` to say.
        xid_age: age of the oldest rows, in transactions.
    """
    if horizon is None or frames.reason(horizon) or horizon.empty or pd.isna(xid_age):
        return ""
    others = horizon[horizon["owner"].ne("autovacuum worker") & horizon["xmin_age"].notna()]
    old = others[others["xmin_age"].ge(_AS_OLD * xid_age)].sort_values("xmin_age")
    if old.empty:
        return ""
    first = old.iloc[-1]
    age = compare.number(float(first["xmin_age"]))
    return f"{first['holder']} {first['name']} ({first['owner']}) holds rows of {age} transactions"


def freeze_age(ages: pd.DataFrame | None) -> float | None:
    """Return the age at which autovacuum begins to freeze, in transactions; None where it is not known.

    Args:
        ages: the statement `wraparound_databases` or `tended_tables`.
    """
    if ages is None or frames.reason(ages) or ages.empty or not ages["xid_age"].notna().any():
        return None
    oldest = ages.sort_values("xid_age", na_position="first").iloc[-1]  # its share is the least rounded
    share = float(oldest["pct_of_freeze_age"])
    return 100 * float(oldest["xid_age"]) / share if share > 0 else None
