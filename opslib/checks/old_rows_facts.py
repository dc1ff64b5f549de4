"""What the catalog says of tables that rows are moved between, and when it says something else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from opslib import frames
from opslib.errors import SourceError
from opslib.pg import relations

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


def structure(database: Asked, identity: Identity) -> str:
    """Return a digest of columns, foreign keys and triggers: when it is another, nothing is moved."""
    pairs = [(identity[one], identity[other]) for one, other in _PAIRS if {one, other} <= set(identity)]
    parts = [differing(database, source, archive) for source, archive in pairs]
    parts += [effects(database, table) for table in _tables(identity)]
    text = "\n".join(part.to_json(orient="values") for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def mark(database: Asked, identity: Identity) -> str:
    """Return what is another as soon as `structure` could be; it takes a tenth of its time."""
    schemas, names = zip(*_tables(identity), strict=True)
    return str(one(database, "structure_marks", schemas=list(schemas), names=list(names))["mark"])


def _tables(identity: Identity) -> list[Sequence[str]]:
    return [identity[name] for name in ("table", "archive", "child", "child_archive") if name in identity]


def columns(database: Asked, identity: Identity) -> dict[str, list[str]]:
    """Return the columns that go over now, by the parameter of the statement that names them."""
    pairs = zip(("columns", "child_columns"), _PAIRS, strict=True)
    there = {name: pair for name, pair in pairs if set(pair) <= set(identity)}
    return {name: named(database, identity[one], identity[other]) for name, (one, other) in there.items()}


def one(database: Asked, name: str, /, **params: Any) -> dict[str, Any]:
    """Return the one row of an answer; what is missing there is None."""
    found = database.table(name, **params)
    if reason := frames.reason(found):
        raise SourceError(reason)
    if len(found) != 1:
        raise SourceError(f"{name} answered with {len(found)} rows where one was promised")
    row = {str(column): value for column, value in found.iloc[0].items()}
    return {
        column: value if isinstance(value, list) or pd.notna(value) else None for column, value in row.items()
    }


def _frame(database: Asked, name: str, /, **params: Any) -> pd.DataFrame:
    found = database.table(name, **params)
    if reason := frames.reason(found):
        raise SourceError(reason)
    return found


def differing(database: Asked, source: Sequence[str], archive: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a table beside those of its archive: `archive_columns`."""
    sides = {"schema": source[0], "name": source[1], "archive_schema": archive[0], "archive_name": archive[1]}
    return _frame(database, "archive_columns", **sides)


def effects(database: Asked, table: Sequence[str]) -> pd.DataFrame:
    """Return what else happens when rows of a table are deleted or inserted: `delete_effects`."""
    return _frame(database, "delete_effects", schema=table[0], name=table[1])


def children(database: Asked, table: Sequence[str]) -> list[dict[str, Any]]:
    """Return the foreign keys that lead to a table, with what they do when its rows go."""
    found = effects(database, table)
    rows = found[found["kind"] == "child"].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def archive_of(database: Asked, child: Mapping[str, Any], along: Mapping[str, str]) -> str:
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


def _alone(database: Asked, name: str) -> bool:
    found = _frame(database, "relation", schema="", name=name)
    return int(found["kind"].isin(relations.TABLES).sum()) == 1


def named(database: Asked, source: Sequence[str], archive: Sequence[str]) -> list[str]:
    """Return the columns that go over: all of the table but those that are computed."""
    found = differing(database, source, archive)
    return [str(name) for name in found[found["source_type"].notna() & ~found["computed"]]["column_name"]]
