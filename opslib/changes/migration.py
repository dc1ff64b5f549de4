"""Applying migrations: each file whole or not at all, noted in the tool's own ledger with it.

A file and its note are one transaction, so there is no half way. The text of the file is in the plan, so
what was approved is what is run, whatever the folder holds by then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from opslib import frames
from opslib.acts import Statement
from opslib.changes import Kind
from opslib.changes.migration_text import against
from opslib.checks.migrations import APPLIED, PLAIN, WAITING, order
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from opslib.verdict import Finding

SUPABASE = "supabase"
_FORWARD = "a migration is not undone: what it did wrong is mended by a new one"
_BY_ITSELF = {
    "prisma": "Prisma applies its own: prisma migrate deploy, with a lock_timeout in PGOPTIONS",
    "alembic": "Alembic applies its own: alembic upgrade head",
}
_NOTES = {SUPABASE: "note_migration", PLAIN: "note_migration_name"}
_AFTER = "it comes after one that is left out"
_NO_BACKUP = "rows that a file spoils are lost, for there is no young backup"
Row = dict[str, Any]


def draft(
    rows: pd.DataFrame, files: pd.DataFrame, ledger: Mapping[str, str], *, wanted: bool
) -> Draft | None:
    """Propose to apply what is pending, in order.

    Args:
        rows: as `checks.migrations.states`.
        files: as `checks.migration_files.read`.
        ledger: as `checks.migrations.ledger`.
        wanted: whether a person asks for it.

    Returns:
        The proposal; without targets where something stands against it, which it says; None where
        nothing is pending, nobody asks, or nothing could be seen.
    """
    listed, texts = _read(rows, files, wanted)
    pending = [row for row in listed if row["state"] == WAITING]
    if not pending:
        return None
    reason = _BY_ITSELF.get(ledger["tool"]) or _against(listed, ledger)
    fine = [] if reason else _fine(pending, texts)
    left_out = {row["file"]: reason or _why(row, texts) for row in pending[len(fine) :]}
    newest = max((str(row["noted"]) for row in listed if row["state"] == APPLIED), default="", key=order)
    return _drafted(fine, texts, ledger, newest, left_out)


def pending(
    rows: pd.DataFrame, files: pd.DataFrame, ledger: Mapping[str, str], *, wanted: bool
) -> tuple[Statement, ...]:
    """Return what a rehearsal tries: the pending files in order, up to the first that no transaction takes.

    Args:
        rows, files, ledger, wanted: as for `draft`. Files of tools that apply their own are tried without
            a note.

    Returns:
        None of them where two histories part: on which would they be tried?
    """
    listed, texts = _read(rows, files, wanted)
    if _against(listed, ledger):
        return ()
    waiting = [row for row in listed if row["state"] == WAITING]
    return tuple(_act(row, texts[row["file"]], ledger) for row in _fine(waiting, texts))


def rehearsed(draft: Draft | None, tried: pd.DataFrame, backup: Finding | None) -> Draft | None:
    """Leave out what failed on a copy, and all after it; say what was not tried, and what no backup holds.

    Args:
        draft: as `draft` has it.
        tried: `ops.rehearse`.
        backup: what was found of the newest backup; None where nobody has looked.
    """
    if draft is None or not draft.targets:
        return draft
    final = list(draft.not_undoable)
    if backup is not None and backup.status is not Status.OK:
        final.append(f"{_NO_BACKUP}: {backup.why if backup.status is Status.UNKNOWN else backup.observed}")
    if reason := frames.reason(tried):
        return replace(draft, not_undoable=(*final, f"it was not rehearsed: {reason}"))
    rows = tried.to_dict("records")
    failed = {row["file"]: row["error"] for row in rows if row["error"] and not row["doubt"]}
    final += [_doubted(row) for row in rows if row["doubt"]]
    names = [target.name for target in draft.targets]
    good = next((at for at, name in enumerate(names) if name in failed), len(names))
    if untried := [name for name in names[:good] if name not in {row["file"] for row in rows}]:
        final.append(f"not rehearsed, behind that one: {', '.join(untried)}")
    reasons = {
        name: f"it fails on a copy: {failed[name]}" if name in failed else _AFTER for name in names[good:]
    }
    return replace(
        draft, title=_title(good), targets=draft.targets[:good], not_undoable=tuple(final),
        numbers={"files": good}, left_out={**reasons, **draft.left_out},
    )  # fmt: skip


def _doubted(row: Mapping[Any, Any]) -> str:
    """Return what an approver is told of a file whose rehearsal proves little."""
    if row["error"]:
        return f"{row['file']} was not rehearsed to its end: {row['error']}"
    return f"{row['file']} ran on a copy, and may not here: {row['doubt']}"


class Migrations(Kind):
    """The kind of change: looks in the ledger."""

    LOCK: ClassVar[str] = "database"
    CHAINED: ClassVar[bool] = True
    PATIENCE_S: ClassVar[float] = 10.0

    def observe(self, target: Target) -> Observed:
        """Look for the migration in the ledger.

        Returns:
            applied; after: the newest of the others that are applied.
        """
        place = target.identity
        found = self._means.database().table("migrations_applied", table=place["table"])
        versions = [str(version) for version in found["version"]]
        others = [version for version in versions if version != place["version"]]
        there = place["version"] in versions
        after = max(others, default="", key=order)
        text = "applied" if there else f"not applied; the newest is {after or 'none'}"
        return Observed({"applied": there, "after": after}, text=text)


KIND = Migrations


def _read(rows: pd.DataFrame, files: pd.DataFrame, wanted: bool) -> tuple[list[Row], dict[str, str]]:
    """Return all migrations, and the texts by their file; nothing where nobody asks or nobody could look."""
    if not wanted or frames.reason(rows) or frames.reason(files):
        return [], {}
    listed = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    return listed, dict(zip(files["file"], files["text"], strict=True))


def _against(rows: Sequence[Row], ledger: Mapping[str, str]) -> str:
    """Return why nothing at all may be applied; "" where it may."""
    if not ledger["tool"]:
        return "there is no ledger to note it in"
    wrong = [f"{row['version']} ({row['state']})" for row in rows if row["state"] not in (APPLIED, WAITING)]
    return f"mend this first: {', '.join(wrong)}" if wrong else ""


def _fine(pending: Sequence[Row], texts: Mapping[str, str]) -> list[Row]:
    """Return those before the first that cannot be run in a transaction."""
    bad = next((n for n, row in enumerate(pending) if against(texts[row["file"]])), len(pending))
    return list(pending[:bad])


def _why(row: Row, texts: Mapping[str, str]) -> str:
    return against(texts[row["file"]]) or _AFTER


def _drafted(
    rows: Sequence[Row],
    texts: Mapping[str, str],
    ledger: Mapping[str, str],
    newest: str,
    left_out: dict[str, str],
) -> Draft:
    targets = []
    for row in rows:
        targets.append(_target(row, texts[row["file"]], ledger, newest))
        newest = str(targets[-1].identity["version"])
    return Draft(
        kind="migration",
        title=_title(len(targets)),
        targets=tuple(targets),
        risk=Risk.HIGH,
        blast="what a file changes is locked until the file is done; after 2 s of waiting it fails",
        numbers={"files": len(targets)},
        not_undoable=(_FORWARD,),
        left_out=left_out,
    )


def _title(count: int) -> str:
    return f"Apply {count} migration{'' if count == 1 else 's'}"


def _target(row: Row, text: str, ledger: Mapping[str, str], newest: str) -> Target:
    table = [ledger["schema"], ledger["name"]]
    act = _act(row, text, ledger)
    version = str(act.params["version"])
    return Target(
        name=row["file"],
        identity={"table": table, "version": version, "file": row["file"], "role": ledger["owner"]},
        before={"applied": False, "after": newest},
        after={"applied": True, "after": newest},
        act=act,
        effect="what its statements say; it is whole, or nothing of it is there",
    )


def _act(row: Row, text: str, ledger: Mapping[str, str]) -> Statement:
    """Return a file with its note; the name of the note is "" where the tool writes its own."""
    name, version = _NOTES.get(ledger["tool"], ""), str(row["version"])
    note: Row = {"version": version, "name": row["name"], "content": text}
    if ledger["tool"] == PLAIN:
        table = [ledger["schema"], ledger["name"]]
        note = {"table": table, "key": "name", "time": "applied_at", "version": row["file"]}
    return Statement(name, note, text, row["file"], ledger["owner"])
