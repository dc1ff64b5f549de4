"""Hold a value or a frame against what is expected, and say so in one Finding.

All functions are pure. Whatever cannot be looked at (a source that did not answer, a missing
column, an empty frame, NaN) is `unknown` with the reason; none of them raises for bad data.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    import pandas as pd


def below(
    data: pd.DataFrame | float | None,
    column: str | None = None,
    *,
    check: str,
    warning: float | None = None,
    critical: float | None = None,
    expected: str,
    why: str = "",
    next: str = "",
    subject: str = "",
    cause: Cause | None = None,
    unit: str = "",
) -> Finding:
    """Find whether the largest value stays below the limits.

    Args:
        data: a number, or a frame whose `column` is looked at (its largest value counts).
        column: the column to look at when `data` is a frame.
        check: name of the check.
        warning: at or above this value the finding is a warning.
        critical: at or above this value the finding is critical.
        expected: what a good result looks like.
        why: why it matters.
        next: procedure that goes on from here.
        subject: what was looked at.
        cause: what is behind it when a limit is reached.
        unit: unit of value and limits, e.g. `ms` or `%`.
    """
    value, reason = _worst(data, column, largest=True)
    reached = _reached(value, warning, critical, upper=True)
    return _limited(
        value, reason, reached, warning, critical, unit, check, expected, why, next, subject, cause
    )


def above(
    data: pd.DataFrame | float | None,
    column: str | None = None,
    *,
    check: str,
    warning: float | None = None,
    critical: float | None = None,
    expected: str,
    why: str = "",
    next: str = "",
    subject: str = "",
    cause: Cause | None = None,
    unit: str = "",
) -> Finding:
    """Find whether the smallest value stays above the limits; arguments as in `below`."""
    value, reason = _worst(data, column, largest=False)
    reached = _reached(value, warning, critical, upper=False)
    return _limited(
        value, reason, reached, warning, critical, unit, check, expected, why, next, subject, cause
    )


def none(
    frame: pd.DataFrame,
    *,
    check: str,
    expected: str,
    status: Status = Status.WARNING,
    why: str = "",
    next: str = "",
    subject: str = "",
    cause: Cause | None = None,
) -> Finding:
    """Find whether the frame has no rows; each row is one thing that should not be there."""
    reason = frames.reason(frame)
    if reason:
        return unknown(check, reason, subject=subject, expected=expected, next=next)
    rows = len(frame)
    seen = "none" if not rows else f"{rows} row{'s' if rows > 1 else ''}"
    return Finding(
        check,
        status if rows else Status.OK,
        subject,
        seen,
        "none",
        expected,
        why if rows else "",
        next if rows else "",
        cause if rows else None,
    )


def some(
    frame: pd.DataFrame,
    *,
    check: str,
    expected: str,
    status: Status = Status.WARNING,
    why: str = "",
    next: str = "",
    subject: str = "",
    cause: Cause | None = None,
) -> Finding:
    """Find whether the frame has at least one row."""
    reason = frames.reason(frame)
    if reason:
        return unknown(check, reason, subject=subject, expected=expected, next=next)
    if len(frame):
        return Finding(check, Status.OK, subject, f"{len(frame)} found", "at least 1", expected)
    return Finding(check, status, subject, "none", "at least 1", expected, why, next, cause)


def unknown(check: str, reason: str, *, subject: str = "", expected: str = "", next: str = "") -> Finding:
    """Return the finding for what could not be looked at."""
    return Finding(check, Status.UNKNOWN, subject, "could not look", expected=expected, why=reason, next=next)


def blind(
    check: str, frame: pd.DataFrame, *, subject: str = "", expected: str = "", next: str = ""
) -> Finding | None:
    """Return the finding for a frame that could not be filled, None when its source answered.

    A source that the system does not have is `skipped`; one that did not answer is `unknown`.
    """
    reason = frames.reason(frame)
    if reason is None:
        return None
    if frames.absent(frame):
        return skipped(check, reason, subject=subject)
    return unknown(check, reason, subject=subject, expected=expected, next=next)


def skipped(check: str, reason: str, *, subject: str = "") -> Finding:
    """Return the finding for what does not apply here, with the reason."""
    return Finding(check, Status.SKIPPED, subject, "not looked at", why=reason)


def number(value: float, unit: str = "") -> str:
    """Return a value as people write it: `1 234 ms`, `97.3 %`, `3.5`."""
    text = f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"
    text = text.replace(",", " ")
    return f"{text} {unit}" if unit else text


def _worst(data: Any, column: str | None, *, largest: bool) -> tuple[float | None, str]:
    """Return the value to judge, or None with the reason why there is none."""
    if not hasattr(data, "columns"):
        return _single(data)
    import pandas as pd

    reason = frames.reason(data)
    if reason:
        return None, reason
    if column not in data.columns:
        return None, f"the answer has no column {column!r}"
    values = pd.to_numeric(data[column], errors="coerce")
    if values.empty or values.isna().any():
        return None, f"no value in column {column!r}" if values.empty else f"{column!r} holds no number"
    return float(values.max() if largest else values.min()), ""


def _single(value: Any) -> tuple[float | None, str]:
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value)):
        return float(value), ""
    return None, "no value was measured"


def _reached(value: float | None, warning: float | None, critical: float | None, *, upper: bool) -> Status:
    if value is None or (warning is None and critical is None):
        return Status.UNKNOWN

    def beyond(limit: float | None) -> bool:
        return limit is not None and (value >= limit if upper else value <= limit)

    if beyond(critical):
        return Status.CRITICAL
    return Status.WARNING if beyond(warning) else Status.OK


def _limited(
    value: float | None,
    reason: str,
    status: Status,
    warning: float | None,
    critical: float | None,
    unit: str,
    check: str,
    expected: str,
    why: str,
    next: str,
    subject: str,
    cause: Cause | None,
) -> Finding:
    if value is None:
        return unknown(check, reason, subject=subject, expected=expected, next=next)
    limits = [number(limit, unit) for limit in (warning, critical) if limit is not None]
    if not limits:
        return unknown(check, "no limit is set for it", subject=subject, expected=expected, next=next)
    wrong = status is not Status.OK
    return Finding(
        check,
        status,
        subject,
        number(value, unit),
        " / ".join(limits),
        expected,
        why if wrong else "",
        next if wrong else "",
        cause if wrong else None,
    )


def without_statistics(check: str, blind: pd.DataFrame, of: int, things: str, cure: str) -> list[Finding]:
    """Return that some things could not be estimated; nothing where all could be.

    Args:
        check: name of the check.
        blind: those without statistics; column `hidden`: they may be there, and our role does not see them.
        of: how many were to be estimated.
        things: what they are, in the plural.
        cure: what gives them statistics.
    """
    if blind.empty:
        return []
    hidden = int(blind["hidden"].sum())
    reason = f"{len(blind)} of {of} large {things} have no statistics of every column: {cure}"
    if hidden:
        reason = (
            f"statistics of {hidden} of {of} large {things} are hidden from this role;"
            " grant it pg_read_all_data (with row security also bypassrls) to have them estimated"
        )
    return [skipped(check, reason, subject="without statistics")]
