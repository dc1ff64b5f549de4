"""Looking at a table whose old rows shall go: the rows, and all that hangs on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from opslib.checks import compare, old_rows_against
from opslib.checks.old_rows import FOREVER, Rule, Seen
from opslib.checks.old_rows_facts import (
    LIMITS,
    Identity,
    Table,
    archive_of,
    children,
    named,
    one,
    structure,
)
from opslib.errors import ParameterError, SourceError
from opslib.pg import relations, several
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.pg import Database
    from opslib.pg.frame import AskedByRow

    Question = Callable[[AskedByRow], Mapping[str, Any]]

_TIMES = ("timestamp with time zone", "timestamp without time zone", "date")


def look(database: AskedByRow, rules: Sequence[Rule]) -> list[Seen]:
    """Look at the tables of some rules.

    Args:
        database: where.
        rules: from `old_rows.archive_rules` or `.retention_rules`.

    Raises:
        ParameterError: a table or column that a rule names is not there.
    """
    return [_look(database, rule) for rule in rules]


def timeless(database: AskedByRow, looks: Sequence[Seen]) -> list[Finding]:
    """Find rows that never grow old, because they have no time: by no rule do they ever go.

    Args:
        database: where.
        looks: from `look`; tables that could not be looked at are left to `old_rows.waiting`.
    """
    return [_timeless(database, one.rule) for one in looks if not one.reason]


def values(database: AskedByRow, identity: Identity) -> dict[str, Any]:
    """Return how many rows are old and how many are in the archive already, and a checksum over all keys.

    Args:
        database: where.
        identity: of the target.

    Returns:
        rows, checksum, structure; archived where there is an archive; hanging, hanging_archived and
        hanging_checksum where rows of another table go along. The checksums cover both sides, so they stay
        the same while rows move.

    Raises:
        SourceError: it cannot be looked at.
    """
    asked = _questions(identity)
    return _summed({name: ask(database) for name, ask in asked.items()})


def values_at_once(connections: Sequence[Database], identity: Identity) -> dict[str, Any]:
    """Return the same, asked over several connections.

    Args:
        connections: to the database, from `several.opened`.
        identity: of the target.

    Raises:
        SourceError: it cannot be looked at.
    """
    asked = _questions(identity)
    return _summed(dict(zip(asked, several.shared(connections, list(asked.values())), strict=True)))


def _questions(identity: Identity) -> dict[str, Question]:
    """Return what is asked, by the table that it is about; in an order that spares the server work twice.

    Who counts a table or archive first finds out what of it is there no more, or for good; to count what
    hangs on its rows at the same time would take both as long.
    """
    found: dict[str, Question] = {
        side: partial(_between, identity, side) for side in ("table", "archive") if side in identity
    }
    if "child" in identity:
        found["child_archive"] = partial(
            _hanging, identity, "rows_hanging_archived", "archive", "child_archive"
        )
    found["structure"] = lambda database: {"structure": structure(database, identity)}
    if "child" in identity:
        found["child"] = partial(_hanging, identity, "rows_hanging", "table", "child")
    return found


def _between(identity: Identity, side: str, database: AskedByRow) -> Mapping[str, Any]:
    box = {name: identity[name] for name in ("key", *LIMITS)}
    return one(database, "rows_between", table=identity[side], **box)


def _hanging(identity: Identity, asked: str, on: str, side: str, database: AskedByRow) -> Mapping[str, Any]:
    box = {name: identity[name] for name in ("key", "child_key", "parent_key", *LIMITS)}
    return one(database, asked, table=identity[on], child=identity[side], **box)


def _summed(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    sums = {"rows": found["table"]["rows"], "checksum": _sum(found, "table", "archive"), **found["structure"]}
    if "archive" in found:
        sums["archived"] = found["archive"]["rows"]
    if "child" in found:
        sums["hanging"] = found["child"]["rows"]
        sums["hanging_archived"] = found["child_archive"]["rows"]
        sums["hanging_checksum"] = _sum(found, "child", "child_archive")
    return sums


def _timeless(database: AskedByRow, rule: Rule) -> Finding:
    expected = f"each row has a time in {rule.column}"
    try:
        table = relations.find(database, "table", rule.table, ("table",))
        found = one(database, "rows_without_time", table=table.parts, time=rule.column, since=FOREVER)
    except SourceError as error:
        return compare.unknown("rows without a time", error.message, subject=rule.table, expected=expected)
    rows, status, why = int(found["rows"]), Status.OK, ""
    if rows:
        status = Status.WARNING
        why = f"by no rule do they ever go, and no plan takes them: find out their {rule.column}"
    seen = compare.number(rows) if rows else "none"
    return Finding("rows without a time", status, rule.table, seen, "none", expected, why)


def _look(database: AskedByRow, rule: Rule) -> Seen:
    try:
        return _seen(database, rule)
    except SourceError as error:
        return Seen(rule, error.message)


def _seen(database: AskedByRow, rule: Rule) -> Seen:
    source = _table(database, "table", rule.table, rule.column)
    time = source.facts["time_type"]
    if time not in _TIMES:
        what = f"is no time but {time}" if time else "is not there"
        raise ParameterError(f"column: {rule.column!r} of {source.text} {what}")
    if not source.facts["key"]:
        return Seen(rule, against=(f"{source.text} has no primary key",))
    box = {"key": source.facts["key"], "time": rule.column, "cutoff": rule.before}
    table = source.relation.parts
    counted = one(database, "rows_between", table=table, **{**box, "since": FOREVER})
    oldest = str(counted["oldest"] or "")
    bytes_of_one = int(source.facts["row_bytes"] or 0)
    seen = Seen(rule, oldest=oldest, rows=int(counted["rows"]), row_bytes=bytes_of_one)
    seen = replace(seen, triggers=int(source.facts["triggers"]))
    # Up to the oldest that was seen: what comes from before it later was never shown to anybody.
    identity = {"table": table, **box, "since": oldest or rule.before}
    against = list(old_rows_against.index(source))
    if rule.archive:
        return _with_archive(database, seen, source, identity, against)
    against += [*old_rows_against.effects(database, source, {}), *old_rows_against.triggers(database, source)]
    return _judged(database, seen, identity, against, {}, old_rows_against.emptied(database, table))


def _with_archive(
    database: AskedByRow, seen: Seen, source: Table, identity: dict[str, Any], against: list[str]
) -> Seen:
    rule = seen.rule
    archive = _table(database, "archive", rule.archive, rule.column)
    identity["archive"] = archive.relation.parts
    against += old_rows_against.pair(database, source, archive)
    against += old_rows_against.effects(database, source, rule.along)
    columns = {"columns": named(database, source.relation.parts, archive.relation.parts)}
    tables = {"table": source, "archive": archive}
    hanging = [row for row in children(database, source.relation.parts) if row["effect"] == "cascade"]
    child, kept, along = None, None, list[str]()
    if len(hanging) == 1 and (goes_to := archive_of(database, hanging[0], rule.along)):
        by = hanging[0]["column_name"]
        child = _table(database, "child", _dotted(hanging[0]), by)
        kept = _table(database, "archive of the child", goes_to, by)
        along = [*kept.relation.parts, by]
        identity |= {
            "child": child.relation.parts, "child_archive": kept.relation.parts,
            "child_key": child.facts["key"], "parent_key": by,
        }  # fmt: skip
        tables |= {"child": child, "child_archive": kept}
        against += old_rows_against.pair(database, child, kept)
        against += old_rows_against.way_back(database, kept)
        columns["child_columns"] = named(database, child.relation.parts, kept.relation.parts)
        if children(database, child.relation.parts):
            against.append(f"on {child.text}, which goes along, rows of others hang in turn")
    against += old_rows_against.way_back(database, archive, along)
    if not against:
        both = {name: identity[name] for name in ("table", "archive", "key", "time", "cutoff")}
        if twice := int(one(database, "rows_in_both", **both)["rows"]):
            against.append(f"{twice} of the rows are in {archive.text} already: somebody copied them before")
    if child and not against:
        against += old_rows_against.strays(database, identity)
        against += old_rows_against.doubled(database, identity)
    stays = old_rows_against.emptied(database, source.relation.parts)
    ever = {name: int(one.facts["columns_ever"]) for name, one in tables.items()}
    seen = replace(seen, ever=ever, triggers=sum(int(one.facts["triggers"]) for one in tables.values()))
    judged = _judged(database, seen, identity, against, columns, stays)
    if judged.identity:
        judged = replace(judged, no_way_back=old_rows_against.no_way_back(judged, archive, kept))
    return _with_them(judged, child) if child else judged


def _judged(
    database: AskedByRow, seen: Seen, identity: Identity, against: Sequence[str],
    columns: Mapping[str, Sequence[str]], stays: tuple[str, ...],
) -> Seen:  # fmt: skip
    if against:
        return replace(seen, against=tuple(against))
    found = values(database, identity)
    return replace(seen, identity=identity, values=found, columns=columns, stays=stays)


def _with_them(seen: Seen, child: Table) -> Seen:
    """Return what was seen, with the bytes of what goes along counted to the rows that it hangs on."""
    each = int(seen.values.get("hanging", 0)) / max(seen.rows, 1)
    return replace(seen, row_bytes=seen.row_bytes + round(each * int(child.facts["row_bytes"] or 0)))


def _table(database: AskedByRow, key: str, text: str, time: str) -> Table:
    """Return the one table that is meant; a role that cannot see its rows has seen nothing."""
    found = relations.find(database, key, text, ("table",))
    facts = one(database, "table_facts", schema=found.schema, name=found.name, time=time)
    if not facts["readable"]:
        raise SourceError(
            f"our role may not read {found.text}: grant select on it, see `opslib doctor --sql`"
        )
    if facts["hidden"]:
        raise SourceError(f"row level security hides rows of {found.text} from our role: give it bypassrls")
    return Table(found, facts)


def _dotted(row: Mapping[str, Any]) -> str:
    return ".".join('"' + str(row[part]).replace('"', '""') + '"' for part in ("schema", "name"))


def _sum(found: Mapping[str, Mapping[str, Any]], *sides: str) -> str:
    return str(sum(int(found[side]["checksum"]) for side in sides if side in found))
