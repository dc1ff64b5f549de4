"""A copy of an archive in a store has the archive's own names; these are the objects that belong to it.

log/checkpoint             the head: what the copy holds for sure
log/next                   the head towards which a push is under way, once all of its leaves are there
log/held/000000001234      heads that the store itself lets nobody remove (Object Lock)
log/tile/…  log/cosigned/…  log/stamped/…  runs/…  blobs/…  notes/…  changes/…   as in the archive
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from opslib.archive.bucket import Bucket, Version
from opslib.archive.changes import FOLDER as CHANGES
from opslib.evidence.beside import NOTES
from opslib.evidence.layout import LOG, RUNS
from opslib.evidence.notes import LARGEST_NOTE
from opslib.evidence.tiles import CHECKPOINT, COSIGNED, ENTRIES, WIDTH, tile_path, width_of

HEAD, NEXT, HELD = f"{LOG}/{CHECKPOINT}", f"{LOG}/next", f"{LOG}/held/"
_TILES, STAMPED = f"{LOG}/tile/", "stamped"
FILES = (RUNS, "blobs", NOTES, CHANGES)
_WITNESSED = re.compile(rf"{LOG}/(?:{COSIGNED}|{STAMPED})/([0-9]{{12,}})[^/]*")
_AT_ONCE = 16

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str], None]


def tiles_of(size: int) -> Iterator[tuple[str, int, int, str]]:
    """Yield (level, number, width, name) of the tiles of a log of a size; level `entries` has the leaves."""
    for level in range(64):
        count = -(-(size >> 8 * level) // WIDTH)
        if not count:
            return
        for word in (str(level), ENTRIES) if level == 0 else (str(level),):
            for number in range(count):
                width = width_of(size, level, number)
                yield word, number, width, f"{LOG}/{tile_path(word, number, width)}"


def files_of(archive: Path) -> Iterator[str]:
    """Yield the names of the files beside the log; what is hidden is no part of the archive."""
    for top in FILES:
        for place, folders, names in os.walk(archive / top):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            own = Path(place).relative_to(archive).as_posix()
            yield from (f"{own}/{name}" for name in sorted(names) if not name.startswith("."))


def is_witnessed(name: str, size: int) -> bool:
    """Say whether an object is what a witness has signed of a log that had at most so many leaves."""
    found = _WITNESSED.fullmatch(name)
    return found is not None and int(found[1]) <= size


def is_partial(name: str) -> bool:
    """Say whether an object is a tile that the log has outgrown, or will."""
    return name.startswith(_TILES) and ".p/" in name


def is_file(name: str) -> bool:
    """Say whether an object can be a file of an archive, and leads nowhere else."""
    parts = name.split("/")
    odd = any(part in ("", ".", "..") or part.startswith(".") for part in parts)
    return parts[0] in FILES and len(parts) > 1 and not odd and "\\" not in name and name.isprintable()


def held_heads(bucket: Bucket, most: int = 400) -> tuple[bytes, ...]:
    """Return the heads that a store was told to keep, those included that somebody has hidden since.

    Of very many, some that lie evenly between the oldest and the newest: the store dates them itself, so
    whoever adds heads later cannot push out those from before.

    Args:
        bucket: of the copy.
        most: how many are read.

    Raises:
        SourceError: it cannot be asked.
    """
    found = sorted(bucket.versions(HELD), key=lambda one: (one.written, one.name))
    few = [one for one in found if one.size <= LARGEST_NOTE]
    chosen = [few[at * len(few) // most] for at in range(most)] if few[most:] else few

    def read(one: Version) -> bytes | None:
        return bucket.read(one.name, one.id)

    return tuple(filter(None, at_once(read, dict.fromkeys((*chosen, *few[-1:])))))


def at_once(
    work: Callable[[Item], Result], items: Iterable[Item], told: Callable[[int], None] | None = None
) -> list[Result]:
    """Do something for all items, several at a time; what was not begun when one fails never is.

    Args:
        work: for one item.
        items: in any order.
        told: hears how many are done.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [pool.submit(work, item) for item in items]
        try:
            for done, one in enumerate(as_completed(asked), 1):
                one.result()
                if told:
                    told(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [one.result() for one in asked]


def counted(progress: Progress, what: str, items: Sequence[object]) -> Callable[[int], None]:
    """Return what tells of progress through some items."""
    return lambda done: progress(f"{what}: {done} of {len(items)}")
