"""DataFrames that say whether they could be filled.

A source that cannot be looked at still yields a frame with the promised columns, no rows, and the
reason. Checks read the reason and say `unknown`, so a notebook needs no `try` and an empty table
can never pass for a clean one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_REASON = "opslib.unavailable"
_ABSENT = "opslib.absent"


def unavailable(columns: Sequence[str], reason: str, *, absent: bool = False) -> pd.DataFrame:
    """Return an empty frame with `columns` that carries the reason why it is empty.

    Args:
        columns: the promised columns.
        reason: why there are no rows.
        absent: the system has no such source at all, so nothing is hidden: a check on it is skipped.
    """
    import pandas as pd

    frame = pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
    frame.attrs[_REASON] = reason
    frame.attrs[_ABSENT] = absent
    return frame


def reason(frame: pd.DataFrame) -> str | None:
    """Return why the frame could not be filled, or None when its source answered."""
    found = frame.attrs.get(_REASON)
    return str(found) if found else None


def absent(frame: pd.DataFrame) -> bool:
    """Say whether the frame is empty because the system has no such source."""
    return bool(frame.attrs.get(_ABSENT))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by the names of its columns; what is missing is None."""
    whole = frame.astype("object").where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in whole.to_dict("records")]
