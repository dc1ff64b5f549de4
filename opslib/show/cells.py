"""How a frame's values read: the same words in HTML and in text."""

from __future__ import annotations

import math

import pandas as pd

from opslib.show import plainly

_NUMBERS = "biuf"


def cell(value: object) -> str:
    """Return a value as people read it: nothing for what is missing, no more digits than they need."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.2f}".rstrip("0").rstrip(".").replace(",", " ")
    if value is None or value is pd.NaT:
        return ""
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def text(frame: pd.DataFrame, top: int) -> str:
    """Return the names and the first `top` rows of a frame in columns, numbers to the right.

    Unlike in pandas's own text, what would not be seen is written out; and it takes a third of the time.
    """
    shown = frame.head(top)
    rows = [[str(name) for name in shown.columns]]
    rows += [[plainly.line(cell(value)) for value in row] for row in shown.itertuples(index=False, name=None)]
    columns = zip(zip(*rows, strict=True), shown.dtypes, strict=True)
    set_out = [_column(words, numbers=kind.kind in _NUMBERS) for words, kind in columns]
    return "\n".join("  ".join(line).rstrip() for line in zip(*set_out, strict=True))


def _column(words: tuple[str, ...], *, numbers: bool) -> list[str]:
    width = max(map(len, words))
    return [word.rjust(width) if numbers else word.ljust(width) for word in words]
