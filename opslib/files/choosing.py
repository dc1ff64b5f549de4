"""Which files a person wants to have copied, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opslib import ids
from opslib.errors import ParameterError
from opslib.files import places
from opslib.files.copying import Wanted, other
from opslib.files.inventory import CANNOT_LOOK, Inventory
from opslib.files.place import MOST_BYTES
from opslib.files.places import COPY, LIVE

if TYPE_CHECKING:
    from opslib.config import Environment

EXPORT, RESTORE, ARCHIVE = "export", "restore", "archive"
_MOST_FAULTS = 100  # a store that refuses so many files is asked for no more
_NOT_READ = "left for the next plan: this one has read enough"
_FAULTS = f"left for the next plan: {_MOST_FAULTS} files could not be read, so see why first"
_THERE = "it is there already, and nothing is ever written over: give another name as `to`"
_OLDER = "the copy has an older one, and nothing is ever written over: the copying job must bring it"
_UNCOPIED = "the copy does not have it yet: `action=export` first"
_UNLIKE = "the copy has something else under that name, so this one is the last there is"
_LARGE = f"larger than {MOST_BYTES // 1_000_000} MB: use rclone, or the vendor's own tool"


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Args:
        action: `export` for what the copy lacks, `restore` for one file of the copy, `archive` for what is
            old enough to be in the copy alone; "" for nothing.
        bucket: which one; all of them where none is named, but for a restore.
        key: the file to bring back.
        to: what it is to be called.
        most: no more files than this; those that cannot be copied do not count.
        most_bytes: no more bytes altogether, but for the first file.
    """

    action: str = ""
    bucket: str = ""
    key: str = ""
    to: str = ""
    most: int = 50
    most_bytes: int = MOST_BYTES


def asked(
    env: Environment, action: str, bucket: str, key: str, to: str, *, most: int, most_bytes: int
) -> Asked:
    """Return what a person asks for, if it can be meant; arguments as of `Asked`.

    Raises:
        ParameterError: there is no such bucket, or a restore lacks its bucket or key.
    """
    if bucket:
        places.named(env, bucket)
    for name, value in (("bucket", bucket), ("key", key)):
        if action == RESTORE and not value:
            raise ParameterError(f"{name}: a restore needs it", hint="give both `bucket` and `key`")
        if not action and value:
            raise ParameterError(f"{name}: given without an action", hint="give `action=restore` as well")
    return Asked(action, bucket, key, to or key, most, most_bytes)


def wanted(
    env: Environment, seen: Sequence[Inventory], wish: Asked, record: places.Record = None
) -> list[Wanted]:
    """Return the files that are asked for, each read to know its checksum.

    Args:
        env: where.
        seen: the declared buckets.
        wish: what is asked for.
        record: receives a record of each request.

    Raises:
        ParameterError: the copy has no file of that name.
    """
    chosen = [one for one in seen if wish.bucket in ("", one.name) and not one.reason]
    if wish.action == EXPORT:
        return [*_export(env, chosen, wish, record), *_changed(chosen)]
    if wish.action == ARCHIVE:
        return list(_archive(env, chosen, wish, record))
    return [_back(env, one, wish, record) for one in chosen if wish.action == RESTORE]


def _export(
    env: Environment, seen: Sequence[Inventory], wish: Asked, record: places.Record
) -> Iterator[Wanted]:
    found = (
        (Wanted(one.name, COPY, one.copy.where, key, key), one.live.objects[key].size)
        for one in seen for key in one.uncopied
    )  # fmt: skip
    return _within(wish, found, lambda one, size: _read(env, one, size, record))


def _archive(
    env: Environment, seen: Sequence[Inventory], wish: Asked, record: places.Record
) -> Iterator[Wanted]:
    now = ids.now()
    found = ((_old(one, key), one.live.objects[key].size) for one in seen for key in one.old(now))
    return _within(wish, found, lambda one, size: _same(env, one, size, record))


def _within(
    wish: Asked, found: Iterable[tuple[Wanted, int]], read: Callable[[Wanted, int], Wanted]
) -> Iterator[Wanted]:
    """Yield files as they were read, until there are enough that can be copied.

    One that cannot be copied, for whatever reason, counts for nothing: it stays the oldest, and would keep
    all others from being copied for ever. So each plan has at least one file that can.
    """
    left, number, faults = wish.most_bytes, 0, 0
    for one, size in found:
        if one.reason or size > MOST_BYTES:
            yield one if one.reason else replace(one, reason=_LARGE)
            continue
        if number >= wish.most or (number and size > left) or faults >= _MOST_FAULTS:
            yield replace(one, reason=_NOT_READ if faults < _MOST_FAULTS else _FAULTS)
            return
        had = read(one, size)
        left, number, faults = left - had.size, number + (not had.reason), faults + bool(had.reason)
        yield had


def _old(one: Inventory, key: str) -> Wanted:
    found = Wanted(one.name, LIVE, one.live.where, key, key, archived=True)
    if key not in one.copy.objects:
        return replace(found, reason=_UNCOPIED)
    return replace(found, reason=_UNLIKE) if key in (*one.changed, *one.unsure) else found


def _same(env: Environment, found: Wanted, size: int, record: places.Record) -> Wanted:
    """Return a file that both sides have, read on both; its media type is that of the bucket."""
    copied, here = (_read(env, replace(found, side=side), size, record) for side in (LIVE, COPY))
    if reason := copied.reason or here.reason:
        return replace(found, reason=reason)
    if copied.sha256 != here.sha256:
        return replace(found, size=here.size, reason=_UNLIKE)
    return replace(copied, type=here.type)


def _changed(seen: Sequence[Inventory]) -> Iterator[Wanted]:
    """Yield the files that users have changed since they were copied: they are said, and not copied."""
    for one in seen:
        for key in one.changed if one.spec.mutable else ():
            yield Wanted(one.name, COPY, one.copy.where, key, key, reason=_OLDER)


def _back(env: Environment, seen: Inventory, wish: Asked, record: places.Record) -> Wanted:
    if wish.key not in seen.copy.objects:
        raise ParameterError(
            f"key: the copy of {seen.name} has no {wish.key!r}",
            hint="step 2 of the procedure lists what it has",
        )
    found = Wanted(seen.name, LIVE, seen.live.where, wish.to, wish.key)
    if wish.to in seen.live.objects:
        return replace(found, reason=_THERE)
    return _read(env, found, seen.copy.objects[wish.key].size, record)


def _read(env: Environment, found: Wanted, size: int, record: places.Record) -> Wanted:
    if size > MOST_BYTES:
        return replace(found, reason=_LARGE)
    try:
        content = places.of(env, found.bucket, other(found.side), record).content(found.source)
    except CANNOT_LOOK as error:
        return replace(found, reason=f"it could not be read: {error.message}")
    if content is None:
        return replace(found, reason="it is gone since it was listed")
    return replace(found, size=len(content.data), sha256=content.sha256, type=content.type)
