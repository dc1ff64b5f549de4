"""Which files a person wants to have copied, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from opslib.errors import ParameterError
from opslib.files import places
from opslib.files.copying import Wanted, other
from opslib.files.inventory import CANNOT_LOOK, Inventory
from opslib.files.place import MOST_BYTES
from opslib.files.places import COPY, LIVE

if TYPE_CHECKING:
    from opslib.config import Environment

EXPORT, RESTORE = "export", "restore"
_NOT_READ = "left for the next plan: this one has read enough"


def wanted(
    env: Environment,
    seen: Sequence[Inventory],
    action: str,
    *,
    bucket: str = "",
    key: str = "",
    to: str = "",
    most: int = 50,
    most_bytes: int = MOST_BYTES,
    record: places.Record = None,
) -> list[Wanted]:
    """Return the files that are wanted, each read to know its checksum.

    Args:
        env: where.
        seen: the declared buckets.
        action: `export` for what the copy lacks, `restore` for one file of the copy; "" for nothing.
        bucket: which one; all for an export where none is named.
        key: the file to bring back.
        to: what it is to be called, if not as before.
        most: no more files than this.
        most_bytes: no more bytes altogether, but for the first file.
        record: receives a record of each request.

    Raises:
        ParameterError: a restore without its bucket or key, or of what is not in the copy.
    """
    if not action:
        return []
    if bucket:
        places.named(env, bucket)
    chosen = [one for one in seen if bucket in ("", one.name) and not one.reason]
    if action == EXPORT:
        return list(_export(env, chosen, most, most_bytes, record))
    for name, value in (("bucket", bucket), ("key", key)):
        if not value:
            raise ParameterError(f"{name}: a restore needs it", hint="give both `bucket` and `key`")
    return [_back(env, one, key, to or key, record) for one in chosen]


def _export(
    env: Environment, seen: Sequence[Inventory], most: int, most_bytes: int, record: places.Record
) -> Iterator[Wanted]:
    left, number = most_bytes, 0
    for one in seen:
        for key in one.uncopied[: most + 1]:
            size = one.live.objects[key].size
            if number >= most or (number and size > left):
                yield Wanted(one.name, COPY, one.copy.where, key, key, reason=_NOT_READ)
                return
            left, number = left - size, number + 1
            yield _read(env, Wanted(one.name, COPY, one.copy.where, key, key), size, record)


def _back(env: Environment, seen: Inventory, key: str, to: str, record: places.Record) -> Wanted:
    if key not in seen.copy.objects:
        raise ParameterError(
            f"key: the copy of {seen.name} has no {key!r}", hint="`missing` of the list names what it has"
        )
    found = Wanted(seen.name, LIVE, seen.live.where, to, key)
    if to in seen.live.objects:
        return _without(
            found, "it is there already, and nothing is ever written over: give another name as `to`"
        )
    return _read(env, found, seen.copy.objects[key].size, record)


def _read(env: Environment, found: Wanted, size: int, record: places.Record) -> Wanted:
    if size > MOST_BYTES:
        return _without(
            found, f"larger than {MOST_BYTES // 1_000_000} MB: use rclone, or the vendor's own tool"
        )
    try:
        content = places.of(env, found.bucket, other(found.side), record).content(found.source)
    except CANNOT_LOOK as error:
        return _without(found, f"it could not be read: {error.message}")
    if content is None:
        return _without(found, "it is gone since it was listed")
    return replace(found, size=len(content.data), sha256=content.sha256, type=content.type)


def _without(found: Wanted, reason: str) -> Wanted:
    return replace(found, reason=reason)
