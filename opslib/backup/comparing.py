"""Where a database differs from what a backup's manifest says that it held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opslib.backup.definitions import settled
from opslib.backup.manifest import BY_NAME, Holds, Table

VERSION, SETTING, UNSEEN = "extension version", "setting", "not compared"
CONTENTS = "contents of rows"
_ABSENT = "not there"
_MEMBER, _DATABASE = "extension table ", "database "
_WITH_ROWS = ("filled ", "large objects ")  # a backup of the schema alone has nothing of them
# Manifests of before it was noted how they are written have these kinds, with which names can be compared.
_FIRST = tuple(
    f"{kind} " for kind in ("schema", "table", "index", "row security", "policy", "function", "view", "type")
)
# These were written down in another way before the second: there they have names only; or not at all.
_ANEW = tuple(f"{kind} " for kind in ("function", "trigger", "view", "large objects"))
_ADDED = "trigger state "


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Args:
        part: rows, object, sequence, extension; or `VERSION` of an extension, which may differ; `SETTING` of
            the database, or right on it, which no dump holds; `UNSEEN` for what could not be compared.
        name: of the thing.
        was: in the manifest.
        now: in the database.
    """

    part: str
    name: str
    was: str
    now: str


def grave(one: Difference) -> bool:
    """Tell whether what differs makes it another database."""
    return one.part not in (VERSION, SETTING, UNSEEN)


def differences(was: Holds, now: Holds, *, content: str = "all") -> list[Difference]:
    """Return everything in which a database is not what it was.

    Between major versions definitions are written differently, and extensions have other versions: there
    only names are compared, as with a manifest of before definitions were written as now. A sequence may
    have gone on since it was noted, as people draw from it while a backup is taken; it must never stand
    further back.

    Args:
        was: what the manifest says.
        now: what the database holds.
        content: what the backup holds; of a schema alone no rows are expected.
    """
    whole, same = content == "all", was.major == now.major
    return [
        *(_differing("rows", _rows(was, now), _rows(now, was)) if whole else ()),
        *_differing("object", _objects(was, now, content), _objects(now, was, content)),
        *(_behind(was, now) if whole else ()),
        *_differing("extension", _names(was.extensions), _names(now.extensions)),
        *_differing("extension", _placed(was, now), _placed(now, was)),
        *_members(was, now),
        *_lacking(was, now),
        *(_other_versions(was, now) if same else ()),
        *_unseen(was, now),
    ]


def _differing(part: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*was, *now}):
        before, after = was.get(name, _ABSENT), now.get(name, _ABSENT)
        if before != after:
            yield Difference(part, name, str(before), str(after))


def _behind(was: Holds, now: Holds) -> Iterator[Difference]:
    """Yield the sequences that are only on one side, or would give again what was given before."""
    names = {*was.sequences, *now.sequences} if _listed(was, now) else {*now.sequences}
    for name in sorted(names):
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


def _rows(one: Holds, other: Holds) -> dict[str, str]:
    same = _encoded_alike(one, other)
    return {
        name: f"{table.rows} rows, checksum {table.checksum}"
        if same and _summed_alike(table, other.tables.get(name, table))
        else f"{table.rows} rows"
        for name, table in one.tables.items()
    }


def _encoded_alike(one: Holds, other: Holds) -> bool:
    """Tell whether both write text alike: checksums are over the server's own bytes."""
    encodings = {holds.locale["encoding"] for holds in (one, other) if holds.locale}
    return len(encodings) < 2


def _summed_alike(one: Table, other: Table) -> bool:
    return one.checksum.startswith(BY_NAME) is other.checksum.startswith(BY_NAME)


def _alike(was: Holds, now: Holds) -> bool:
    """Tell whether both were written down in the same way."""
    return was.written == now.written


def _listed(was: Holds, now: Holds) -> bool:
    """Tell whether both name the same kinds of things."""
    return bool(was.written) is bool(now.written)


def _objects(one: Holds, other: Holds, content: str) -> Mapping[str, str]:
    if not _listed(one, other):
        return _names(name for name in one.objects if name.startswith(_FIRST))
    alike = _alike(one, other)
    left = (f"{SETTING} ", _MEMBER, _DATABASE, *(_WITH_ROWS if content == "schema" else ()))
    left = left if alike else (*left, _ADDED)
    found = [name for name in one.objects if not name.startswith(left)]
    named = found if one.major != other.major else () if alike else _of(_ANEW, found)
    return {**{name: settled(one.objects[name]) for name in found}, **_names(named)}


def _of(kinds: tuple[str, ...], found: Iterable[str]) -> Iterator[str]:
    return (name for name in found if name.startswith(kinds))


def _members(was: Holds, now: Holds) -> Iterator[Difference]:
    """Yield the tables of extensions that did not come back; another version may be made of other tables."""
    for name, owner in was.objects.items():
        if not name.startswith(_MEMBER) or name in now.objects or owner not in now.extensions:
            continue
        same = was.extensions[owner] == now.extensions[owner]
        yield Difference("object" if same else UNSEEN, name, f"of {owner} {was.extensions[owner]}", _ABSENT)


def _lacking(was: Holds, now: Holds) -> Iterator[Difference]:
    """Yield what of the database itself is not there: its settings, and who may do what with it.

    A setting or a right too many may be a vendor's own.
    """
    yield from (
        Difference(SETTING, name, "set", _ABSENT) for name in _settings(was) if name not in _settings(now)
    )
    for name, said in was.objects.items() if _alike(was, now) else ():
        if name.startswith(_DATABASE) and (there := now.objects.get(name, _ABSENT)) != said:
            yield Difference(SETTING, f"{name} ({said})", said, there)


def _settings(one: Holds) -> dict[str, str]:
    return _names(name.removeprefix(f"{SETTING} ") for name in one.objects if name.startswith(f"{SETTING} "))


def _placed(one: Holds, other: Holds) -> dict[str, str]:
    return {name: f"in schema {one.placed[name]}" for name in one.placed if name in other.placed}


def _names(things: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(things, "there")


def _other_versions(was: Holds, now: Holds) -> Iterator[Difference]:
    both = sorted({*was.extensions} & {*now.extensions})
    yield from _differing(VERSION, *({name: one.extensions[name] for name in both} for one in (was, now)))


def _unseen(was: Holds, now: Holds) -> Iterator[Difference]:
    """Yield of what only the names were compared, or not even those."""
    if was.major != now.major:
        yield Difference(UNSEEN, "definitions", f"PostgreSQL {was.major}", f"PostgreSQL {now.major}")
    if not _alike(was, now):
        yield Difference(UNSEEN, "definitions", "an older manifest, which has less", "all of them")
    if not _encoded_alike(was, now):
        yield Difference(UNSEEN, CONTENTS, was.locale["encoding"], now.locale["encoding"])
    for name in sorted({*was.tables} & {*now.tables}):
        if not _summed_alike(was.tables[name], now.tables[name]):
            yield Difference(UNSEEN, f"checksum of {name}", "columns as they stood", "columns by name")
