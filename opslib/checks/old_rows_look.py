"""Looking at a table whose old rows shall go: the rows, and all that hangs on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from opslib import frames
from opslib.checks import compare
from opslib.checks.old_rows import FOREVER, Rule, Seen
from opslib.checks.old_rows_facts import Asked, Identity, children, differing, effects, named, one, structure
from opslib.errors import ParameterError, SourceError
from opslib.pg import relations, several
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.pg import Database

# Up to here a table is read through in a moment; a larger one needs an index for each batch.
_SMALL = 100_000
_LIMITS = ("time", "since", "cutoff")
_TIMES = ("timestamp with time zone", "timestamp without time zone", "date")


@dataclass(frozen=True)
class _Table:
    """A table with what has to be known of it."""

    relation: relations.Relation
    facts: Mapping[str, Any]

    @property
    def text(self) -> str:
        return self.relation.text


def look(database: Asked, rules: Sequence[Rule]) -> list[Seen]:
    """Look at the tables of some rules.

    Args:
        database: where.
        rules: from `old_rows.archive_rules` or `.retention_rules`.

    Raises:
        ParameterError: a table or column that a rule names is not there.
    """
    return [_look(database, rule) for rule in rules]


def timeless(database: Asked, looks: Sequence[Seen]) -> list[Finding]:
    """Find rows that never grow old, because they have no time: by no rule do they ever go.

    Args:
        database: where.
        looks: from `look`; tables that could not be looked at are left to `old_rows.waiting`.
    """
    return [_timeless(database, one.rule) for one in looks if not one.reason]


def values(database: Asked, identity: Identity, beside: Database | None = None) -> dict[str, Any]:
    """Return how many rows are old and how many are in the archive already, and a checksum over all keys.

    Args:
        database: where.
        identity: of the target.
        beside: the same database over another connection, which counts what hangs on the rows meanwhile.

    Returns:
        rows, checksum, structure; archived where there is an archive; hanging, hanging_archived and
        hanging_checksum where rows of another table go along. The checksums cover both sides, so they stay
        the same while rows move.

    Raises:
        SourceError: it cannot be looked at.
    """
    if beside is None:
        return _counted(database, identity) | _hung(database, identity)
    with several.meanwhile(beside, partial(_hung, beside, identity)) as hung:
        return _counted(database, identity) | hung.result()


def _counted(database: Asked, identity: Identity) -> dict[str, Any]:
    box = {name: identity[name] for name in ("key", *_LIMITS)}
    counted = [one(database, "rows_between", table=side, **box) for side in _sides(identity)]
    rows = zip(("rows", "archived"), (int(side["rows"]) for side in counted), strict=False)
    return {**dict(rows), "checksum": _sum(counted), "structure": structure(database, identity)}


def _hung(database: Asked, identity: Identity) -> dict[str, Any]:
    if "child" not in identity:
        return {}
    box = {name: identity[name] for name in ("key", "child_key", "parent_key", *_LIMITS)}
    table, archive = _sides(identity)
    # The archive first: meanwhile the count of the table finds what of its index leads nowhere any more.
    kept = one(database, "rows_hanging_archived", table=archive, child=identity["child_archive"], **box)
    hung = [one(database, "rows_hanging", table=table, child=identity["child"], **box), kept]
    rows = zip(("hanging", "hanging_archived"), (int(side["rows"]) for side in hung), strict=True)
    return {**dict(rows), "hanging_checksum": _sum(hung)}


def _sides(identity: Identity) -> list[Sequence[str]]:
    return [identity[name] for name in ("table", "archive") if name in identity]


def _timeless(database: Asked, rule: Rule) -> Finding:
    expected = f"each row has a time in {rule.column}"
    try:
        table = relations.find(database, "table", rule.table, ("table",))  # type: ignore[arg-type]
        found = one(database, "rows_without_time", table=table.parts, time=rule.column, since=FOREVER)
    except SourceError as error:
        return compare.unknown("rows without a time", error.message, subject=rule.table, expected=expected)
    rows, status, why = int(found["rows"]), Status.OK, ""
    if rows:
        status = Status.WARNING
        why = f"by no rule do they ever go, and no plan takes them: find out their {rule.column}"
    seen = compare.number(rows) if rows else "none"
    return Finding("rows without a time", status, rule.table, seen, "none", expected, why)


def _look(database: Asked, rule: Rule) -> Seen:
    try:
        return _seen(database, rule)
    except SourceError as error:
        return Seen(rule, error.message)


def _seen(database: Asked, rule: Rule) -> Seen:
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
    # Up to the oldest that was seen: what comes from before it later was never shown to anybody.
    identity = {"table": table, **box, "since": oldest or rule.before}
    against = list(_against_index(source))
    if rule.archive:
        return _with_archive(database, seen, source, identity, against)
    against += [*_against_effects(database, source, {}), *_against_triggers(database, source)]
    return _judged(database, seen, identity, against, {}, _emptied(database, table))


def _with_archive(
    database: Asked, seen: Seen, source: _Table, identity: dict[str, Any], against: list[str]
) -> Seen:
    rule = seen.rule
    archive = _table(database, "archive", rule.archive, rule.column)
    identity["archive"] = archive.relation.parts
    against += _against_pair(database, source, archive)
    against += _against_effects(database, source, rule.along)
    against += _against_way_back(database, archive, rule.along.values())
    columns = {"columns": named(database, source.relation.parts, archive.relation.parts)}
    tables = {"table": source, "archive": archive}
    hanging = [row for row in children(database, source.relation.parts) if row["effect"] == "cascade"]
    child = None
    if len(hanging) == 1 and hanging[0]["name"] in rule.along:
        child = _table(database, "child", _dotted(hanging[0]), hanging[0]["column_name"])
        kept = _table(database, "archive of the child", rule.along[hanging[0]["name"]], "")
        identity |= {
            "child": child.relation.parts, "child_archive": kept.relation.parts,
            "child_key": child.facts["key"], "parent_key": hanging[0]["column_name"],
        }  # fmt: skip
        tables |= {"child": child, "child_archive": kept}
        against += _against_pair(database, child, kept)
        columns["child_columns"] = named(database, child.relation.parts, kept.relation.parts)
        if children(database, child.relation.parts):
            against.append(f"on {child.text}, which goes along, rows of others hang in turn")
    if not against:
        both = {name: identity[name] for name in ("table", "archive", "key", "time", "cutoff")}
        if twice := int(one(database, "rows_in_both", **both)["rows"]):
            against.append(f"{twice} of the rows are in {archive.text} already: somebody copied them before")
    if child and not against:
        against += _against_strays(database, identity)
    stays = _emptied(database, source.relation.parts)
    seen = replace(seen, ever={name: int(one.facts["columns_ever"]) for name, one in tables.items()})
    judged = _judged(database, seen, identity, against, columns, stays)
    return _with_them(judged, child) if child else judged


def _judged(
    database: Asked, seen: Seen, identity: Identity, against: Sequence[str],
    columns: Mapping[str, Sequence[str]], stays: tuple[str, ...],
) -> Seen:  # fmt: skip
    if against:
        return replace(seen, against=tuple(against))
    found = values(database, identity)
    return replace(seen, identity=identity, values=found, columns=columns, stays=stays)


def _with_them(seen: Seen, child: _Table) -> Seen:
    """Return what was seen, with the bytes of what goes along counted to the rows that it hangs on."""
    each = int(seen.values.get("hanging", 0)) / max(seen.rows, 1)
    return replace(seen, row_bytes=seen.row_bytes + round(each * int(child.facts["row_bytes"] or 0)))


def _against_index(source: _Table) -> Iterator[str]:
    if not source.facts["time_indexed"] and int(source.facts["rows_estimate"]) > _SMALL:
        yield f"no index of {source.text} begins with its time, so each batch would read all of it"


def _against_pair(database: Asked, source: _Table, archive: _Table) -> Iterator[str]:
    """Say why rows could not go from one table into the other, and back."""
    differ = differing(database, source.relation.parts, archive.relation.parts)
    for row in differ[differ["problem"] != ""].to_dict("records"):
        types = " and ".join(filter(None, (row["source_type"], row["archive_type"])))
        yield f"column {row['column_name']} of {source.text} and {archive.text}: {row['problem']} ({types})"
    if not source.facts["key"] or set(archive.facts["key"] or ()) != set(source.facts["key"]):
        yield f"{archive.text} must have the primary key of {source.text}, or a row could be there twice"
    for table in (source, archive):
        yield from _against_triggers(database, table)


def _against_triggers(database: Asked, table: _Table) -> Iterator[str]:
    found = effects(database, table.relation.parts)
    for row in found[found["kind"] == "trigger"].to_dict("records"):
        yield f"the trigger {row['name']} of {table.text} runs {row['effect']}: nobody knows what it does"
    for name in found[found["kind"] == "heir"]["name"]:
        yield f"{name} inherits from {table.text}: rows of both would be taken for each other"


def _against_effects(database: Asked, source: _Table, along: Mapping[str, str]) -> Iterator[str]:
    """Say which foreign keys forbid that rows are deleted here."""
    found = children(database, source.relation.parts)
    for row in found:
        name = f"{row['name']}.{row['column_name']}"
        if row["effect"] == "refuse":
            yield f"{name} refers to the rows and would refuse"
        elif row["effect"] == "cascade by other columns":
            yield f"{name} leads to other columns than the key, and would delete its rows with them"
        elif not row["indexed"]:
            yield f"no index begins with {name}: each row that goes would cost a pass over {row['name']}"
        elif row["effect"] == "cascade" and row["name"] not in along:
            yield f"rows of {row['name']} would be deleted with them, and no archive is named for those"
    if sum(row["effect"] == "cascade" for row in found) > 1:
        yield "rows of several tables would be deleted with them; one at most can go along"


def _against_strays(database: Asked, identity: Identity) -> Iterator[str]:
    """Say which rows of the child went before those that they hang on: nobody could count them as moved."""
    box = {name: identity[name] for name in ("key", "child_key", "parent_key", *_LIMITS)}
    child = identity["child_archive"]
    if strays := int(one(database, "rows_hanging", table=identity["table"], child=child, **box)["rows"]):
        yield f"{strays} rows of {'.'.join(child)} hang on rows that have not gone: move them back first"


def _against_way_back(database: Asked, archive: _Table, along: Iterable[str]) -> Iterator[str]:
    """Say what would be deleted for good when rows are moved back."""
    for row in children(database, archive.relation.parts):
        if row["effect"].startswith("cascade") and row["name"] not in along:
            yield f"rows of {row['name']} hang on {archive.text}: to move back would delete them"


def _emptied(database: Asked, table: Sequence[str]) -> tuple[str, ...]:
    rows = children(database, table)
    kept = [row for row in rows if row["effect"].startswith("set")]
    return tuple(f"{row['name']}.{row['column_name']} loses its link to the rows that go" for row in kept)


def _table(database: Asked, key: str, text: str, time: str) -> _Table:
    """Return the one table that is meant; a role that cannot see its rows has seen nothing."""
    schema, name = relations.taken_apart(text)
    if unseen := frames.reason(database.table("relation", schema=schema, name=name)):
        raise SourceError(unseen)
    found = relations.find(database, key, text, ("table",))  # type: ignore[arg-type]
    facts = one(database, "table_facts", schema=found.schema, name=found.name, time=time)
    if not facts["readable"]:
        raise SourceError(
            f"our role may not read {found.text}: grant select on it, see `opslib doctor --sql`"
        )
    if facts["hidden"]:
        raise SourceError(f"row level security hides rows of {found.text} from our role: give it bypassrls")
    return _Table(found, facts)


def _dotted(row: Mapping[str, Any]) -> str:
    return ".".join('"' + str(row[part]).replace('"', '""') + '"' for part in ("schema", "name"))


def _sum(counted: Sequence[Mapping[str, Any]]) -> str:
    return str(sum(int(one["checksum"]) for one in counted))
