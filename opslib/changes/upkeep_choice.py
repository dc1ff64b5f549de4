"""Which upkeep is proposed: the few things that mend what was found, each with its reason, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.changes import upkeep_targets as make
from opslib.changes import upkeep_waits
from opslib.checks import indexes as judged
from opslib.gate.plan import Draft, Risk, Target

if TYPE_CHECKING:
    from opslib.changes.upkeep_targets import Row

_COPIED = 57  # so much of its name an index has in common with its copy
AUTO, NONE = "auto", "none"
_UNCOVERED = "the index that does the same could not be looked at; plan again"
_STAYS = "a rebuilt index stays as it is: nothing has to be taken back"
_UNSAID = "its definition is more than plain columns, so that names cannot bring it back; in a migration: "


@dataclass
class Picks:
    """The chosen targets in their order, and what looks like one.

    Args:
        most: how many one plan may have.
        targets: identity -> target.
        left_out: name -> why.
        final: what cannot be brought back, in sentences.
        sizes: name -> size before, of what may have another one afterwards.
    """

    most: int
    targets: dict[str, Target] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    final: list[str] = field(default_factory=list)
    sizes: dict[str, str] = field(default_factory=dict)

    def take(self, target: Target, why_not: str = "", final: str = "") -> None:
        """Choose a target once, or name it with the reason why it is none."""
        place = target.place
        if place in self.targets:
            return
        if not why_not and len(self.targets) >= self.most:
            why_not = f"one plan has {self.most} targets at most (parameter most); plan again afterwards"
        if why_not:
            self.left_out[target.name] = why_not
            return
        self.targets[place] = target
        if final and final not in self.final:
            self.final.append(final)

    def draft(self, done: str, blast: str, undo: tuple[str, ...] = ()) -> Draft | None:
        """Return the proposal; None where there is nothing to do and nothing to say."""
        if not self.targets and not self.left_out:
            return None
        count = len(self.targets)
        title = f"{done}: {count} target{'' if count == 1 else 's'}" if count else f"{done}: nothing"
        return Draft(
            "upkeep", title, tuple(self.targets.values()), Risk.MEDIUM, blast, {},
            tuple(self.final), undo, dict(self.left_out), {"sizes": self.sizes} if self.sizes else {},
        )  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What the indexes of a database look like; each a frame of the statement of that name.

    Args:
        indexes, duplicate_indexes, foreign_keys_without_index, index_bloat_estimate: the statements.
        xmin_horizon: holders of old snapshots.
        table_locks: holders of locks, if only by reading.
        replication: the replicas.
    """

    indexes: pd.DataFrame
    duplicate_indexes: pd.DataFrame
    foreign_keys_without_index: pd.DataFrame
    index_bloat_estimate: pd.DataFrame
    xmin_horizon: pd.DataFrame
    table_locks: pd.DataFrame
    replication: pd.DataFrame

    def wait(self, row: Row | None = None) -> str:
        """Return why a build, or a rebuild or drop of one of `indexes`, would not end, or nothing."""
        wait = upkeep_waits.waits(self.xmin_horizon)
        return wait or (upkeep_waits.held(self.table_locks, row) if row else "")

    def row(self, schema: str, index: str) -> Row | None:
        """Return one row of `indexes`."""
        named = self.indexes["schema"].eq(schema) & self.indexes["index_name"].eq(index)
        found = self.indexes[named]
        return _plain(found.to_dict("records")[0]) if len(found) else None


def seen(table: Callable[..., pd.DataFrame]) -> Seen:
    """Ask for everything that the planners here look at.

    Args:
        table: `ops.pg.table`.
    """
    return Seen(
        table("indexes", schema="", name=""), table("duplicate_indexes"), table("foreign_keys_without_index"),
        table("index_bloat_estimate", min_bytes=judged.ENOUGH_BLOAT_BYTES), table("xmin_horizon"),
        table("table_locks"), table("replication"),
    )  # fmt: skip


def usage(
    causes: Iterable[str], look: Seen, unused: pd.DataFrame, *, repair: str = AUTO,
    only: Sequence[Sequence[str]] = (), replicas_checked: bool = False, most: int = 10,
) -> Draft | None:  # fmt: skip
    """Propose which indexes to drop and to build.

    Args:
        causes: ids of the causes that were found.
        look: what was seen.
        unused: indexes without a scan, as of `indexes.aged`; only those that are known for long enough.
        repair: `auto` acts on the causes, `none` on nothing.
        only: schema and name of the indexes that are wanted, of what is found; all where none is named.
        replicas_checked: somebody has looked at the scans of every replica.
        most: how many targets one plan may have.

    Returns:
        The proposal; without targets where all must be left alone; None where there is nothing to do.
    """
    if repair == NONE or frames.reason(look.indexes):
        return None
    found, picks = set(causes), _Chosen(most, look, only)
    _leftovers(picks, look, found)
    if judged.DUPLICATE.id in found:
        for row in plain_rows(look.duplicate_indexes):
            cover = look.row(row["schema"], row["covered_by"])
            picks.drop(look.row(row["schema"], row["index_name"]), "" if cover else _UNCOVERED, cover=cover)
    if judged.UNUSED.id in found:
        reason = _elsewhere(look.replication, replicas_checked)
        for row in plain_rows(unused[unused["long_enough"].astype(bool)]):
            picks.drop(row, reason)
    if judged.NO_INDEX.id in found:
        for row in plain_rows(judged.missing(look.foreign_keys_without_index)):
            picks.build(row)
    blast = "reads and writes go on all the while; dropped indexes make writes cheaper"
    undo = ("a dropped index is built again by its definition, a built one is dropped",)
    return picks.draft("Drop and build indexes", blast, undo)


def rebuild(
    look: Seen, *, names: Sequence[Sequence[str]] = (), free_mb: int = 0, repair: str = AUTO, most: int = 5
) -> Draft | None:
    """Propose which indexes to build anew: what a failed build left first, then the bloated ones.

    Args:
        look: what was seen.
        names: schema and name of the indexes to build anew instead, and no others; a copy is dropped.
        free_mb: free space on the disk; 0 where nobody knows it.
        repair: `auto`, or `none`.
        most: how many targets one plan may have; they are done one after the other.
    """
    if repair == NONE or frames.reason(look.indexes):
        return None
    picks = _Chosen(most, look)
    if not names:
        _leftovers(picks, look, {"invalid-index"}, again=True)
    wanted = names or [
        (r["schema"], r["index_name"]) for r in plain_rows(judged.bloated(look.index_bloat_estimate))
    ]
    for schema, index in wanted:
        row = look.row(schema, index)
        if row is not None and "copy" in row["leftover"]:
            picks.drop(row)
        elif row is not None:
            picks.rebuild(row, free_mb)
    blast = "reads and writes go on; the machine reads each table twice and writes its index once more"
    drops = [one for one in picks.targets.values() if one.after.get("there") is False]
    if drops and len(drops) == len(picks.targets):
        return picks.draft("Drop what a failed build left, and rebuild nothing", "reads and writes go on")
    also = ", and drop what failed builds left" if drops else ""
    return picks.draft(f"Rebuild indexes, one at a time{also}", blast)


def failed_twice(row: Row, indexes: pd.DataFrame) -> bool:
    """Tell whether the rebuild of an index, one of `indexes`, has failed as well: it leaves a copy."""
    copies = indexes[indexes["leftover"].eq("failed copy of a rebuild") & indexes["schema"].eq(row["schema"])]
    return bool(copies["index_name"].str.startswith(f"{row['index_name'][:_COPIED]}_ccnew").any())


def plain_rows(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame as plain values; none where it could not be filled."""
    if frames.reason(frame):
        return []
    return [_plain(row) for row in frame.to_dict("records")]


class _Chosen(Picks):
    """Picks of indexes.

    Args:
        most: how many one plan may have.
        look: what was seen.
        only: schema and name of those that are wanted; all where there are none.
    """

    def __init__(self, most: int, look: Seen, only: Sequence[Sequence[str]] = ()) -> None:
        super().__init__(most)
        self._look, self._only = look, [list(one) for one in only]
        self._kept: dict[str, str] = {}
        self._covers: dict[str, Row] = {}

    def drop(self, row: Row | None, why_not: str = "", *, cover: Row | None = None) -> None:
        """Choose an index to be dropped; `cover` is the one that does its work from then on."""
        if row is None or not self._wanted(row):
            return
        if cover:
            cover = self._covers.get(make.shown(cover), cover)  # what covers the cover covers this one, too
        name, reason = make.shown(row), why_not or _fixed(row) or self._look.wait(row)
        if name in self._kept:
            reason = f"it does the work of {self._kept[name]}, which this plan drops"
        valid = bool(row["is_valid"])
        if not reason and valid and not make.comes_back(row):
            reason = f"{_UNSAID}{row['definition']}"
        final = "" if valid else f"{name} is not whole and is not brought back; it was: {row['definition']}"
        self.take(make.drop(row, cover), reason, final)
        if cover and not reason:
            self._kept[make.shown(cover)], self._covers[name] = name, cover

    def rebuild(self, row: Row, free_mb: int = 0) -> None:
        """Choose an index to be built anew; `free_mb` as in the planner."""
        if not self._wanted(row):
            return
        self.sizes[make.shown(row)] = make.size(row)
        self.take(make.reindex(row), _unfit(row, free_mb) or self._look.wait(row), _STAYS)

    def build(self, row: Row) -> None:
        """Choose an index to be built."""
        if self._wanted(row):
            taken = "the name is taken, or the table has partitions: build it in a migration"
            self.take(make.create(row), taken if row["name_taken"] else self._look.wait())

    def _wanted(self, row: Row) -> bool:
        return not self._only or [row["schema"], row["index_name"]] in self._only


def _leftovers(picks: _Chosen, look: Seen, found: set[str], *, again: bool = False) -> None:
    """Choose what is not whole: dropped, or built again where it may well succeed and that is asked.

    What was cut off is built again in any case: it may have been whole before somebody began to drop it, and
    a unique one still refuses rows. What could not be built twice is dropped: its rows do not fit it.
    """
    if "invalid-index" not in found:
        return
    left = look.indexes[~(look.indexes["is_valid"] & look.indexes["is_ready"])]
    for row in plain_rows(left):
        failed = again and row["leftover"] == "failed build" and not row["is_unique"]
        if (failed and not failed_twice(row, look.indexes)) or row["leftover"] == "build or drop cut off":
            picks.rebuild(row)
        else:
            picks.drop(row)


def _elsewhere(replicas: pd.DataFrame, checked: bool) -> str:
    """Return why an index without scans here may be in use, or nothing."""
    if checked:
        return ""
    if frames.reason(replicas):
        return "whether there are replicas could not be seen"
    if len(replicas):
        return f"{len(replicas)} replicas count their own scans: look there, then set replicas_checked"
    return ""


def _fixed(row: Row) -> str:
    """Return why an index must not be dropped, or nothing."""
    if row["in_progress"]:
        return "an index of its table is being built now"
    if row["locked"]:
        return "its table is locked now; plan again"
    return f"it is needed: {row['needed_for']}" if row["needed_for"] else ""


def _unfit(row: Row, free_mb: int) -> str:
    """Return why an index must not be built anew now, or nothing."""
    if row["in_progress"] or row["locked"]:
        return "its table is locked, or one of its indexes is being built now; plan again"
    if row["needed_for"] == "exclusion constraint":
        return "the server cannot build the index of an exclusion constraint anew beside the old one"
    if row["needed_for"] == "partitioned index" and row["bytes"] == 0:
        return "it has no pages of its own: name the indexes of its partitions"
    if free_mb and (needed := int(row["bytes"]) / 1024**2) > free_mb / 2:
        return f"it needs {needed:.0f} MB more, too much beside {free_mb} MB free (half of it is kept)"
    return ""


def _plain(row: Mapping[Any, Any]) -> Row:
    return {str(name): value for name, value in row.items()}
