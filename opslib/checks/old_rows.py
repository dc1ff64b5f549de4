"""Which rows are too old to stay, by which rule, and what stands in the way of taking them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from opslib.checks import compare
from opslib.errors import ParameterError
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import System

OLD = Cause("old-rows", "rows older than the rule says are still in the table that everybody works with", 60)
OVERDUE = Cause("retention-overdue", "rows are kept for longer than the policy allows", 40)
BLOCKED = Cause("archive-blocked", "old rows cannot be taken out as the tables are now", 50)
FOREVER = "0001-01-01T00:00:00+00:00"
COLUMNS = ("table", "column", "days", "before", "rows", "oldest", "goes_to", "stands_in_the_way")


@dataclass(frozen=True)
class Rule:
    """Rows of one table that may not stay.

    Args:
        table: its name, as SQL has it.
        column: the time from which their age counts.
        before: they are older than this, RFC 3339 in UTC.
        days: the age that the rule states; 0 where a person named the time.
        archive: the table into which they go; nothing where they are deleted.
        along: table -> archive, for rows that hang on them by a foreign key which would delete them.
        hold: nothing of it may be deleted.
    """

    table: str
    column: str
    before: str
    days: int = 0
    archive: str = ""
    along: Mapping[str, str] = field(default_factory=dict)
    hold: bool = False


@dataclass(frozen=True)
class Seen:
    """What a look at one table told.

    Args:
        rule: the rule.
        reason: why it could not be looked at; nothing where it could.
        against: what stands in the way of taking rows out.
        stays: what taking them out does that no undo brings back.
        no_way_back: what is missing for rows to be moved back in batches.
        identity: the tables, key, columns and times, literally; empty where something stands in the way.
        values: rows, checksum and so on, as `Archiving.observe` returns them.
        columns: the columns by which rows are moved: of the table, and of what goes along.
        ever: how many columns each of the tables has ever had, by its name in the identity.
        triggers: how many of them are on those tables, with those of foreign keys.
        oldest: of the old rows; nothing where there are none.
        rows: how many are old.
        row_bytes: what one of them takes, with what hangs on it; 0 where nobody knows yet.
    """

    rule: Rule
    reason: str = ""
    against: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    no_way_back: tuple[str, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ever: Mapping[str, int] = field(default_factory=dict)
    triggers: int = 0
    oldest: str = ""
    rows: int = 0
    row_bytes: int = 0


def archive_rules(
    system: System, *, table: str = "", archive: str = "", column: str = "", days: int = 0, before: str = "",
    now: datetime | None = None,
) -> list[Rule]:  # fmt: skip
    """Return the rules by which rows go into archives.

    Args:
        system: its file has the rules.
        table: only this one; it needs no rule where all that follows is given.
        archive, column: in place of what the file says.
        days: an age in place of the file's; 0 where the file decides.
        before: a time in place of any age, RFC 3339.
        now: the time; default now.

    Raises:
        ParameterError: something is missing, or the time lies in the future.
    """
    known = {name: part for name, part in system.tables.items() if part.archive_after_days is not None}
    along = {name: part.archive_table for name, part in system.tables.items() if part.archive_table}
    wanted = [table] if table else list(known)
    now = now or datetime.now(UTC)
    found = []
    for name in wanted:
        part = known.get(name)
        age = days or int(part.archive_after_days or 0 if part else 0)
        rule = Rule(
            name, column or (part.age_column if part else ""), _cutoff(now, age, before),
            0 if before else age, archive or (part.archive_table if part else ""), along,
        )  # fmt: skip
        _whole(rule, archive=rule.archive, column=rule.column, older_than_days=rule.days or before)
        found.append(rule)
    return found


def retention_rules(system: System, *, table: str = "", now: datetime | None = None) -> list[Rule]:
    """Return the rules by which rows are deleted.

    A row is overdue a day after its time: whatever clears away runs once a day.

    Args:
        system: its file has the rules.
        table: only this one.
        now: the time; default now.

    Raises:
        ParameterError: the file has no rule for the table.
    """
    known = {name: part for name, part in system.tables.items() if part.keep_days is not None}
    if table and table not in known:
        there = ", ".join(known) or "none at all"
        hint = "write keep_days and age_column into the system's file: nobody may make a policy up at night"
        raise ParameterError(f"table: {table!r} has no policy; there are: {there}", hint=hint)
    now = now or datetime.now(UTC)
    return [
        Rule(
            name,
            part.age_column,
            _cutoff(now, int(part.keep_days or 0) + 1, ""),
            int(part.keep_days or 0),
            hold=part.legal_hold,
        )
        for name, part in known.items()
        if not table or name == table
    ]


def table(looks: Iterable[Seen]) -> pd.DataFrame:
    """Return what was seen, one row a table, with COLUMNS."""
    import pandas as pd

    rows = [
        (
            one.rule.table, one.rule.column, one.rule.days, one.rule.before, None if one.reason else one.rows,
            one.oldest, one.rule.archive or "nowhere: deleted", "; ".join(one.against) or one.reason,
        )
        for one in looks
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rows": "Int64"})


def waiting(looks: Sequence[Seen], cause: Cause = OLD) -> list[Finding]:
    """Find tables with rows that are too old.

    Args:
        looks: what was seen.
        cause: OLD, or OVERDUE where a policy demands that they go.
    """
    if not looks:
        reason = (
            "no rule says what is old: nothing was looked at; add archive_after_days to a table in the"
            " system's file, or take this item off the list"
        )
        return [compare.unknown("old rows", reason)]
    return [_waiting(one, cause) for one in looks]


def ways(looks: Sequence[Seen]) -> list[Finding]:
    """Find tables of which rows cannot be taken out safely, and say what stands in the way."""
    found = []
    for one in looks:
        expected = "nothing stands in the way of taking rows out"
        if one.reason:
            found.append(compare.unknown("way out", one.reason, subject=one.rule.table, expected=expected))
        elif one.rule.hold:
            found.append(compare.skipped("way out", "legal hold: nothing is deleted", subject=one.rule.table))
        elif one.against:
            found.append(
                Finding(
                    "way out", Status.WARNING, one.rule.table, f"{len(one.against)} in the way", "none",
                    expected, "; ".join(one.against), cause=BLOCKED,
                )
            )  # fmt: skip
        else:
            found.append(Finding("way out", Status.OK, one.rule.table, "free", "", expected))
    return found


def _waiting(one: Seen, cause: Cause) -> Finding:
    rule = one.rule
    age = f"{rule.days} d" if rule.days else rule.before
    expected = f"nothing before {rule.before[:10]}"
    if one.reason:
        return compare.unknown("old rows", one.reason, subject=rule.table, expected=expected)
    if not one.rows:
        return Finding("old rows", Status.OK, rule.table, "none", age, expected)
    seen = f"{compare.number(one.rows)} rows, the oldest of {one.oldest[:10]}"
    if rule.hold:
        reason = f"{seen}, and legal hold keeps them"
        return compare.skipped("old rows", reason, subject=rule.table)
    why = "each of them makes the table slower for everybody"
    if cause is OVERDUE:
        why = f"the policy says {rule.days} days: they should not be there"
    return Finding("old rows", Status.WARNING, rule.table, seen, age, expected, why, cause=cause)


def _cutoff(now: datetime, days: int, before: str) -> str:
    """Return the time before which rows are old: midnight, so that it is the same for a whole day."""
    if not before:
        day = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        return (day - timedelta(days=days)).isoformat()
    try:
        moment = datetime.fromisoformat(before)
    except ValueError:
        raise ParameterError(f"before: {before!r} is no time", hint="write 2026-01-31T00:00:00Z") from None
    if moment.tzinfo is None:
        raise ParameterError(f"before: {before!r} has no zone", hint="write 2026-01-31T00:00:00Z")
    if moment >= now:
        raise ParameterError(f"before: {before} lies in the future: rows of today would go")
    return moment.astimezone(UTC).isoformat()


def _whole(rule: Rule, **parts: Any) -> None:
    missing = [name for name, value in parts.items() if not value]
    if missing:
        text = f"{rule.table} has no rule in the system's file, so it needs: {', '.join(missing)}"
        raise ParameterError(text, hint="give them, or write the rule into the system's file")
