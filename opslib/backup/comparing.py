"""Where a database differs from what a backup's manifest says that it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opslib.backup.manifest import Holds, Table

_ABSENT = "not there"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Args:
        part: rows, object, sequence, extension.
        name: of the thing.
        was: in the manifest.
        now: in the database.
    """

    part: str
    name: str
    was: str
    now: str


def differences(was: Holds, now: Holds, *, content: str = "all") -> list[Difference]:
    """Return everything in which a database is not what it was.

    Between major versions definitions are written differently, and extensions have other versions: there
    only names are compared.

    Args:
        was: what the manifest says.
        now: what the database holds.
        content: what the backup holds; of a schema alone no rows are expected.
    """
    alike = was.major == now.major
    whole = content == "all"
    return [
        *(_differing("rows", _rows(was.tables), _rows(now.tables)) if whole else ()),
        *_differing("object", _named(was.objects, alike), _named(now.objects, alike)),
        *(_differing("sequence", was.sequences, now.sequences) if whole else ()),
        *_differing("extension", _named(was.extensions, alike), _named(now.extensions, alike)),
    ]


def _differing(part: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*was, *now}):
        before, after = was.get(name, _ABSENT), now.get(name, _ABSENT)
        if before != after:
            yield Difference(part, name, str(before), str(after))


def _rows(tables: Mapping[str, Table]) -> dict[str, str]:
    return {name: f"{table.rows} rows, checksum {table.checksum}" for name, table in tables.items()}


def _named(things: Mapping[str, str], alike: bool) -> Mapping[str, str]:
    return things if alike else dict.fromkeys(things, "there")
