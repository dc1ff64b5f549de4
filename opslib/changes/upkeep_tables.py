"""Which tables are proposed to be vacuumed and analyzed: those that were found, or those that were named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from opslib import frames
from opslib.changes import upkeep_targets as make
from opslib.changes.upkeep_choice import AUTO, NONE, Picks, plain_rows
from opslib.checks import database, held_back, statistics, vacuum
from opslib.gate.plan import Draft, Target

if TYPE_CHECKING:
    import pandas as pd

    from opslib.changes.upkeep_targets import Row
    from opslib.config import Limit

_FINAL = "what vacuum has cleared and analyze has counted stays so: nothing has to be taken back"
_BLAST = "reads and writes go on; the disk is read more for a while"


def tables(
    causes: Iterable[str], tended: pd.DataFrame, dead: Limit, changed: Limit, age: Limit, *,
    horizon: pd.DataFrame | None = None, repair: str = AUTO, names: Sequence[Sequence[str]] = (),
    most: int = 10,
) -> Draft | None:  # fmt: skip
    """Propose which tables to vacuum, and of which only to renew the statistics.

    Args:
        causes: ids of the causes that were found.
        tended: the statement `tended_tables`.
        dead: per cent of a table's rows that may be dead.
        changed: per cent of a table's rows that may have changed since its statistics were made.
        age: per cent of the way to transaction id wraparound.
        horizon: the statement `xmin_horizon`: no table is vacuumed to be frozen while it could not be.
        repair: `auto` acts on the causes, `none` on nothing.
        names: schema and name of tables to vacuum instead.
        most: how many tables one plan may have.
    """
    if repair == NONE or frames.reason(tended):
        return None
    found, picks = set(causes), Picks(most)
    if names:
        wanted = [[*name] for name in names]
        for row in plain_rows(tended):
            if [row["schema"], row["table_name"]] in wanted:
                picks.take(_clear(row), _unfit(row))
    if not names and database.WRAPAROUND.id in found:
        for row in plain_rows(vacuum.oldest(tended, age)):
            picks.take(_freeze(row), _unfit(row) or _kept(row, horizon))
    if not names and vacuum.BLOAT.id in found:
        for row in plain_rows(vacuum.mostly_dead(tended, dead)):
            picks.take(_clear(row), _unfit(row))
    if not names and statistics.STALE.id in found:
        for row in plain_rows(statistics.old(tended, changed)):
            picks.take(make.analyze(row), _unfit(row))
    picks.final = [_FINAL] if picks.targets else []
    return picks.draft("Vacuum and analyze", _BLAST)


def _clear(row: Row) -> Target:
    target = make.vacuum(row)
    pieces = f", and {row['toast_dead']} pieces of long values" if row["toast_dead"] else ""
    return replace(target, effect=target.effect + pieces)


def _freeze(row: Row) -> Target:
    effect = f"reads and writes go on; rows up to {row['xid_age']} transactions old are frozen"
    return replace(make.vacuum(row), effect=effect)


def _kept(row: Row, horizon: pd.DataFrame | None) -> str:
    """Return who keeps the rows of a table from being frozen, or nothing."""
    held = held_back.holder(horizon, row["xid_age"])
    return f"nothing would be frozen: {held}; end it first: database-connections" if held else ""


def _unfit(row: Row) -> str:
    """Return why a table would be skipped now, or nothing."""
    if row["in_progress"]:
        return f"{row['in_progress']} is at it now"
    return "it is locked now, and would be skipped; plan again" if row["locked"] else ""
