"""What a plan to move or delete old rows says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from opslib.checks import compare

if TYPE_CHECKING:
    from opslib.checks.old_rows import Seen

BACK = "`opslib undo` moves them back, batch by batch; the archive's own columns are lost with that"
_MIXED = "the archive holds other rows of the same time, so nobody could tell which to move back"
_DELETED = "deleted rows are gone: only a backup has them"


def title(free: Sequence[Seen], moving: bool) -> str:
    """Return the title of the plan."""
    if not free:
        return "take out no old row: something stands in the way"
    names = ", ".join(f"{one.rule.table} before {one.rule.before[:10]}" for one in free)
    return f"move old rows into their archive: {names}" if moving else f"delete old rows: {names}"


def blast(moving: bool) -> str:
    """Return what users notice."""
    where = "find them in the archive table only" if moving else "do not find them any more"
    return (
        f"users and reports {where}; nobody is locked out: each batch holds its own rows for a moment, and"
        " rows that somebody works at wait for a later one"
    )


def numbers(free: Sequence[Seen], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the figures of the plan; sizes: table -> rows in one batch."""
    rows = sum(one.rows for one in free)
    hanging = sum(int(one.values.get("hanging", 0)) for one in free)
    batches = sum(-(-one.rows // sizes[one.rule.table]) for one in free)
    counts = {"rows": rows, "rows hanging on them": hanging, "batches": batches}
    return {name: count for name, count in counts.items() if count}


def not_undoable(free: Iterable[Seen]) -> Iterable[str]:
    """Yield what no undo brings back."""
    for one in free:
        if not one.rule.archive:
            yield f"{one.rule.table}: {_DELETED}"
        elif not undoable(one):
            why = (_MIXED,) if _mixed(one) else one.no_way_back
            yield from (f"{one.rule.table}: {text}" for text in why)
        yield from one.stays


def why_not(one: Seen) -> str:
    """Return why a table is left out."""
    return "legal hold" if one.rule.hold else "; ".join(one.against) or one.reason


def undoable(one: Seen) -> bool:
    """Tell whether rows that are moved could be told from others in the archive, and be found there."""
    return bool(one.rule.archive) and not _mixed(one) and not one.no_way_back


def _mixed(one: Seen) -> bool:
    return one.values.get("archived") != 0


def effect(one: Seen) -> str:
    """Return what becomes of the rows of one table."""
    hanging = int(one.values.get("hanging", 0))
    along = f", with {compare.number(hanging)} rows that hang on them" if hanging else ""
    where = f"go to {one.rule.archive}" if one.rule.archive else "are deleted"
    return f"{compare.number(one.rows)} rows{along} {where}"
