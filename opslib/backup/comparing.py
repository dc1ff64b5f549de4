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
    only names are compared. A sequence may have gone on since it was noted, as people draw from it while a
    backup is taken; it must never stand further back.

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
        *(_behind(was, now) if whole else ()),
        *_differing("extension", _named(was.extensions, alike), _named(now.extensions, alike)),
    ]


def _differing(part: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*was, *now}):
        before, after = was.get(name, _ABSENT), now.get(name, _ABSENT)
        if before != after:
            yield Difference(part, name, str(before), str(after))


def _behind(was: Holds, now: Holds) -> Iterator[Difference]:
    """Yield the sequences that are only on one side, or would give again what was given before."""
    for name in sorted({*was.sequences, *now.sequences}):
        if name not in was.sequences or name not in now.sequences:
            there, here = was.sequences.get(name, _ABSENT), now.sequences.get(name, _ABSENT)
            yield Difference("sequence", name, str(there), str(here))
        elif not _reached(was.sequences[name], now.sequences[name], was.steps.get(name, 1)):
            stands = "unused" if now.sequences[name] is None else str(now.sequences[name])
            yield Difference("sequence", name, f"{was.sequences[name]} or further on", stands)


def _reached(was: int | None, now: int | None, step: int) -> bool:
    """Tell whether a sequence has come as far; of one that begins again at its end nobody can tell."""
    if was is None or not step:
        return True
    return now is not None and (now >= was if step > 0 else now <= was)


def _rows(tables: Mapping[str, Table]) -> dict[str, str]:
    return {name: f"{table.rows} rows, checksum {table.checksum}" for name, table in tables.items()}


def _named(things: Mapping[str, str], alike: bool) -> Mapping[str, str]:
    return things if alike else dict.fromkeys(things, "there")
