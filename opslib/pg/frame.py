"""Rows of an answer with the promised columns and types: as a frame, or by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from opslib.errors import Malformed
from opslib.pg.sql import Statement

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


class AskedByRow(Protocol):
    """Whoever tells the rows of an answer without a frame around them."""

    def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Run one packaged statement that reads, and return its rows.

        Raises:
            SourceError: it could not be answered.
        """


def _seconds(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


_VALUE: Mapping[str, Callable[[Any], Any]] = {
    "int": int, "float": float, "bool": bool, "text": str, "seconds": _seconds, "list": list,
}  # fmt: skip
_DTYPE = {
    "int": "Int64", "float": "float64", "bool": "boolean", "text": "object", "time": "datetime64[us, UTC]",
    "seconds": "float64", "list": "object", "json": "object",
}  # fmt: skip


def build(statement: Statement, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Return the answer to a statement.

    Args:
        statement: what was asked.
        columns: the names that came.
        rows: the values that came.

    Returns:
        int as Int64, bool as boolean (both may be NA), float and seconds as float64, time as UTC,
        text, list and json as objects.

    Raises:
        Malformed: other columns came than the header promises.
    """
    import pandas as pd

    promised = _promised(statement, columns)
    data = {
        column.name: pd.Series([_value(row[place], column.type) for row in rows], dtype=_DTYPE[column.type])
        for place, column in enumerate(statement.returns)
    }
    return pd.DataFrame(data, columns=promised)


def rows(statement: Statement, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Return the answer to a statement row by row, for whoever needs no frame: pandas takes long to load.

    Args:
        statement: what was asked.
        columns: the names that came.
        rows: the values that came.

    Returns:
        By the names of the columns: values of Python's own types, what is missing None.

    Raises:
        Malformed: as for `build`.
    """
    names, kinds = _promised(statement, columns), [column.type for column in statement.returns]
    return [dict(zip(names, map(_value, row, kinds), strict=True)) for row in rows]


def _promised(statement: Statement, columns: Sequence[str]) -> list[str]:
    promised = [column.name for column in statement.returns]
    if list(columns) != promised:
        raise Malformed(f"{statement.name} answered with the columns {list(columns)}, promised: {promised}")
    return promised


def _value(value: Any, kind: str) -> Any:
    if value is None or kind not in _VALUE:
        return value
    return _VALUE[kind](value)
