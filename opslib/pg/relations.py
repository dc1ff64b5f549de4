"""The one table, view or index that a person means by what they typed."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opslib.errors import ParameterError

if TYPE_CHECKING:
    from opslib.pg.frame import AskedByRow

TABLES = ("table", "partitioned table")
_PART = r'("(?:[^"]|"")+"|[^\s".]+)'
_NAME = re.compile(rf"\s*(?:{_PART}\s*\.\s*)?{_PART}\s*")


@dataclass(frozen=True)
class Relation:
    """Something in the catalog.

    Args:
        schema: where it is.
        name: what it is called there.
        kind: table, partitioned table, materialized view, view, index, partitioned index, sequence,
            foreign table.
        owner: role that owns it.
        mine: our role has the owner's rights.
        rows_estimate: as of the last vacuum or analyze.
        bytes: likewise, without indexes.
    """

    schema: str
    name: str
    kind: str
    owner: str
    mine: bool
    rows_estimate: int
    bytes: int

    @property
    def parts(self) -> list[str]:
        """The value for a statement's parameter of type `name`."""
        return [self.schema, self.name]

    @property
    def text(self) -> str:
        """The name as SQL has it, quoted where it must be."""
        return written(self.schema, self.name)


def find(database: AskedByRow, key: str, text: str, kinds: Collection[str] = TABLES) -> Relation:
    """Return the relation that a parameter names.

    Args:
        database: where to look; in a notebook `ops.pg`.
        key: the parameter, for the error.
        text: `orders`, `public.orders`, `"Weird Name"`; as SQL has it, or else the bare name.
        kinds: what it may be.

    Raises:
        ParameterError: there is none, or several, or it is something else, or the server's own.
        SourceError: the database could not be asked.
    """
    schema, name = taken_apart(text)
    if schema.startswith("pg_") or schema == "information_schema":
        raise ParameterError(f"{key}: {text!r} is the server's own, and left alone")
    found = database.rows("relation", schema=schema, name=name)
    rows = [Relation(*(row[column] for column in Relation.__dataclass_fields__)) for row in found]
    fits = [row for row in rows if row.kind in kinds]
    if len(fits) == 1:
        return fits[0]
    wanted = " or ".join(kinds)
    if fits:
        there = ", ".join(one.text for one in fits)
        raise ParameterError(
            f"{key}: {text!r} is the name of several: {there}", hint="name it with its schema"
        )
    if rows:
        raise ParameterError(f"{key}: {rows[0].text} is: {rows[0].kind}; it must be: {wanted}")
    hint = 'capitals and spaces need quotes, as in "Weird Name"; other schemas must be named'
    raise ParameterError(f"{key}: there is no {wanted} {text!r}", hint=hint)


def written(schema: str, name: str) -> str:
    """Return schema and name as SQL has them, quoted where they must be: what `find` takes."""
    return ".".join(_written(part) for part in (schema, name))


def taken_apart(text: str) -> tuple[str, str]:
    """Return schema ("" where none is named) and name; what is not quoted is folded as PostgreSQL does."""
    found = _NAME.fullmatch(text)
    return (_bare(found[1] or ""), _bare(found[2])) if found else ("", text)


def _bare(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()


def _written(part: str) -> str:
    return part if re.fullmatch(r"[a-z_][a-z0-9_]*", part) else '"' + part.replace('"', '""') + '"'
