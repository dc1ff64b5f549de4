"""What the catalog says of tables that rows are moved between, and when it says something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from opslib.errors import SourceError
from opslib.pg import relations

if TYPE_CHECKING:
    import pandas as pd

    from opslib.pg.frame import AskedByRow, Row

Identity = Mapping[str, Any]
LIMITS = ("time", "since", "cutoff")
_PAIRS = (("table", "archive"), ("child", "child_archive"))


@dataclass(frozen=True)
class Table:
    """A table with what has to be known of it.

    Args:
        relation: which it is.
        facts: of `table_facts`.
    """

    relation: relations.Relation
    facts: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The name as SQL has it."""
        return self.relation.text


class Asked(Protocol):
    """Whoever answers packaged statements: `ops.pg`, or the gate's own connection."""

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Run one packaged statement that reads."""


def structure(database: AskedByRow, identity: Identity) -> str:
    """Return a digest of columns, foreign keys and triggers: when it is another, nothing is moved."""
    pairs = [(identity[one], identity[other]) for one, other in _PAIRS if {one, other} <= set(identity)]
    parts = [differing(database, source, archive) for source, archive in pairs]
    parts += [effects(database, table) for table in _tables(identity)]
    text = "\n".join(json.dumps([list(row.values()) for row in part]) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def mark(database: AskedByRow, identity: Identity) -> str:
    """Return what is another as soon as `structure` could be; it takes a tenth of its time."""
    schemas, names = zip(*_tables(identity), strict=True)
    return str(one(database, "structure_marks", schemas=list(schemas), names=list(names))["mark"])


def _tables(identity: Identity) -> list[Sequence[str]]:
    return [identity[name] for name in ("table", "archive", "child", "child_archive") if name in identity]


def columns(database: AskedByRow, identity: Identity) -> dict[str, list[str]]:
    """Return the columns that go over now, by the parameter of the statement that names them."""
    pairs = zip(("columns", "child_columns"), _PAIRS, strict=True)
    there = {name: pair for name, pair in pairs if set(pair) <= set(identity)}
    return {name: named(database, identity[one], identity[other]) for name, (one, other) in there.items()}


def one(database: AskedByRow, name: str, /, **params: Any) -> Row:
    """Return the one row of an answer; what is missing there is None."""
    found = database.rows(name, **params)
    if len(found) != 1:
        raise SourceError(f"{name} answered with {len(found)} rows where one was promised")
    return found[0]


def differing(database: AskedByRow, source: Sequence[str], archive: Sequence[str]) -> list[Row]:
    """Return the columns of a table beside those of its archive: `archive_columns`."""
    sides = {"schema": source[0], "name": source[1], "archive_schema": archive[0], "archive_name": archive[1]}
    return database.rows("archive_columns", **sides)


def effects(database: AskedByRow, table: Sequence[str], kind: str = "") -> list[Row]:
    """Return what else happens when rows of a table come or go: `delete_effects`, of one kind or all."""
    found = database.rows("delete_effects", schema=table[0], name=table[1])
    return [row for row in found if kind in ("", row["kind"])]


def children(database: AskedByRow, table: Sequence[str]) -> list[Row]:
    """Return the foreign keys that lead to a table, with what they do when its rows go."""
    return effects(database, table, "child")


def archive_of(database: AskedByRow, child: Mapping[str, Any], along: Mapping[str, str]) -> str:
    """Return the archive that is named for a table; nothing where none is, or where the name means several.

    Args:
        database: where.
        child: the table, from `children`.
        along: table -> archive, as a rule has them.
    """
    for text, archive in along.items():
        schema, name = relations.taken_apart(text)
        if name != child["name"]:
            continue
        if schema == child["schema"] or (not schema and _alone(database, name)):
            return archive
    return ""


def _alone(database: AskedByRow, name: str) -> bool:
    found = database.rows("relation", schema="", name=name)
    return sum(row["kind"] in relations.TABLES for row in found) == 1


def named(database: AskedByRow, source: Sequence[str], archive: Sequence[str]) -> list[str]:
    """Return the columns that go over: all of the table but those that are computed."""
    found = differing(database, source, archive)
    return [row["column_name"] for row in found if row["source_type"] is not None and not row["computed"]]
