"""DataFrames that say whether they could be filled.

A source that cannot be looked at still yields a frame with the promised columns, no rows, and the
reason. Checks read the reason and say `unknown`, so a notebook needs no `try` and an empty table
can never pass for a clean one.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

_REASON = "opslib.unavailable"


def unavailable(columns: Sequence[str], reason: str) -> pd.DataFrame:
    """Return an empty frame with `columns` that carries the reason why it is empty."""
    frame = pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
    frame.attrs[_REASON] = reason
    return frame


def reason(frame: pd.DataFrame) -> str | None:
    """Return why the frame could not be filled, or None when its source answered."""
    found = frame.attrs.get(_REASON)
    return str(found) if found else None
