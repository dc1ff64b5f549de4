"""What stands in the way of taking old rows out of a table, and of putting them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from opslib.checks import old_rows_facts
from opslib.checks.old_rows import Seen
from opslib.checks.old_rows_facts import (
    LIMITS,
    Identity,
    Table,
    archive_of,
    children,
    differing,
    one,
)
from opslib.pg import relations

if TYPE_CHECKING:
    from opslib.pg.frame import AskedByRow

# Up to here a table is read through in a moment; a larger one needs an index for each batch.
_SMALL = 100_000
# Up to here rows are looked for among all others without one, each by itself.
_FEW = 10_000


def index(source: Table) -> Iterator[str]:
    """Say whether each batch would have to look for its rows in the whole table."""
    if not source.facts["time_indexed"] and int(source.facts["rows_estimate"]) > _SMALL:
        yield f"no btree index of {source.text} begins with its time, so each batch would read all of it"


def pair(database: AskedByRow, source: Table, archive: Table) -> Iterator[str]:
    """Say why rows could not go from one table into the other, and back."""
    differ = differing(database, source.relation.parts, archive.relation.parts)
    for row in filter(itemgetter("problem"), differ):
        types = " and ".join(filter(None, (row["source_type"], row["archive_type"])))
        yield f"column {row['column_name']} of {source.text} and {archive.text}: {row['problem']} ({types})"
    if not source.facts["key"] or set(archive.facts["key"] or ()) != set(source.facts["key"]):
        yield f"{archive.text} must have the primary key of {source.text}, or a row could be there twice"
    if not archive.facts["logged"]:
        yield f"{archive.text} is unlogged: after a crash the rows would be nowhere"
    for table in (source, archive):
        yield from triggers(database, table)


def triggers(database: AskedByRow, table: Table) -> Iterator[str]:
    """Say what runs by itself when rows come or go, and which tables inherit."""
    for row in old_rows_facts.effects(database, table.relation.parts, "trigger"):
        yield f"the trigger {row['name']} of {table.text} runs {row['effect']}: nobody knows what it does"
    for row in old_rows_facts.effects(database, table.relation.parts, "heir"):
        yield f"{row['name']} inherits from {table.text}: rows of both would be taken for each other"


def effects(database: AskedByRow, source: Table, along: Mapping[str, str]) -> Iterator[str]:
    """Say which foreign keys forbid that rows are deleted here."""
    found = children(database, source.relation.parts)
    for row in found:
        name = f"{row['name']}.{row['column_name']}"
        if row["effect"] == "refuse":
            yield f"{name} refers to the rows and would refuse"
        elif row["effect"] == "cascade by other columns":
            yield f"{name} leads to other columns than the key, and would delete its rows with them"
        elif row["effect"] == "cascade by another comparison":
            yield f"{name} compares otherwise than the `=` of pg_catalog: not all that it deletes is found"
        elif not row["indexed"]:
            yield f"no index begins with {name}: each row that goes would cost a pass over {row['name']}"
        elif row["effect"] == "cascade" and not archive_of(database, row, along):
            table = relations.written(row["schema"], row["name"])
            yield f"rows of {row['name']} would be deleted with them, and no archive is named for {table}"
    if sum(row["effect"] == "cascade" for row in found) > 1:
        yield "rows of several tables would be deleted with them; one at most can go along"
    yield from _when_emptied(database, source)


def _when_emptied(database: AskedByRow, source: Table) -> Iterator[str]:
    for row in old_rows_facts.effects(database, source.relation.parts, "emptied"):
        what = f"the trigger {row['column_name']} of {row['name']} runs {row['effect']}"
        yield f"{what} when its link to the rows is emptied: nobody knows what it does"


def strays(database: AskedByRow, identity: Identity) -> Iterator[str]:
    """Say which rows of the child went before those that they hang on: nobody could count them as moved."""
    box = {name: identity[name] for name in ("key", "child_key", "parent_key", *LIMITS)}
    child = identity["child_archive"]
    if strays := int(one(database, "rows_hanging", table=identity["table"], child=child, **box)["rows"]):
        yield f"{strays} rows of {'.'.join(child)} hang on rows that have not gone: move them back first"


def doubled(database: AskedByRow, identity: Identity) -> Iterator[str]:
    """Say which rows of the child are in its archive already: no batch that has one of them would succeed."""
    names = ("table", "key", "child", "child_archive", "child_key", "parent_key", *LIMITS)
    box = {name: identity[name] for name in names}
    if twice := int(one(database, "rows_hanging_in_both", **box)["rows"]):
        where = ".".join(identity["child_archive"])
        yield f"{twice} of the rows that hang on them are in {where} already: somebody copied them before"


def way_back(database: AskedByRow, archive: Table, along: Sequence[str] = ()) -> Iterator[str]:
    """Say what would be deleted for good when rows are moved back.

    Args:
        database: where.
        archive: from where they would go.
        along: schema, name and column of the foreign key whose rows go back with them.
    """
    for row in children(database, archive.relation.parts):
        goes = row["effect"] == "cascade" and [row["schema"], row["name"], row["column_name"]] == list(along)
        if row["effect"].startswith("cascade") and not goes:
            yield f"rows of {row['name']} hang on {archive.text}: to move back would delete them"


def no_way_back(seen: Seen, archive: Table, kept: Table | None) -> tuple[str, ...]:
    """Return why rows that have gone could not be moved back batch by batch.

    Args:
        seen: with its values: the rows that will be in the archives then count.
        archive: of the table.
        kept: the archive of the child, if rows go along.
    """
    rows = int(archive.facts["rows_estimate"]) + seen.rows
    found = []
    if not archive.facts["time_indexed"] and rows > _SMALL:
        found.append(_to_make(archive, seen.identity["time"]))
    if kept and not kept.facts["looked_up"]:
        rows = int(kept.facts["rows_estimate"]) + int(seen.values["hanging"])
        if rows > _FEW:
            found.append(_to_make(kept, seen.identity["parent_key"]))
    return tuple(found)


def _to_make(table: Table, column: str) -> str:
    quoted = '"' + column.replace('"', '""') + '"'
    return f"each batch back would read all of {table.text}: create index on {table.text} ({quoted})"


def emptied(database: AskedByRow, table: Sequence[str]) -> tuple[str, ...]:
    """Return which links to the rows are lost once they go."""
    rows = children(database, table)
    kept = [row for row in rows if row["effect"].startswith("set")]
    return tuple(f"{row['name']}.{row['column_name']} loses its link to the rows that go" for row in kept)
