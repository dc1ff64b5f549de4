"""The rows of some tables, counted one table after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opslib.errors import OpsError, ParameterError, SourceError
from opslib.pg import relations

if TYPE_CHECKING:
    import pandas as pd

    from opslib.pg.database import Database

COUNTS = ("table", "rows", "reason")


def counts(database: Database, tables: Sequence[str]) -> pd.DataFrame:
    """Count the rows of tables; each count reads its table or an index of it from end to end.

    Args:
        database: where they are.
        tables: their names, as a person writes them.

    Returns:
        Columns `COUNTS`: rows is None where they could not be counted, and reason says why.

    Raises:
        SourceError: the database could not be asked at all.
    """
    import pandas as pd

    rows = [_counted(database, table) for table in tables]
    return pd.DataFrame(rows, columns=list(COUNTS)).astype({"rows": "Int64"})


def _counted(database: Database, table: str) -> dict[str, Any]:
    try:
        found = relations.find(database, "table", table)
    except ParameterError as error:
        return {"table": table, "rows": None, "reason": error.message}
    try:
        counted = database.table("table_rows", table=found.parts)
    except SourceError as error:
        return {"table": table, "rows": None, "reason": _why(error)}
    return {"table": table, "rows": int(counted.iloc[0]["rows"]), "reason": ""}


def _why(error: OpsError) -> str:
    return error.message.partition("\n")[0]
