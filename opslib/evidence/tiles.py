"""A log as tiles in plain files, as C2SP's tlog-tiles has it: paths, reading, hashing all of it again.

checkpoint                        the signed head
tile/0/x001/234                   256 hashes of leaves
tile/0/x001/235.p/17              the 17 behind them
tile/1/004                        256 hashes, each over a whole tile of level 0
tile/entries/x001/234             256 leaves, each with its length in front
cosigned/000000001234             a checkpoint as witnesses sent it back, by its size
rotations                         where to look for leaves that retire a key; nothing more is believed of it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from opslib.evidence.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash, root_of, split
from opslib.evidence.plain import NotSound, Unreadable, content_of, unreadable

WIDTH = 256
CHECKPOINT, COSIGNED, ENTRIES = "checkpoint", "cosigned", "entries"
_HEIGHT = 8  # levels of the tree in one tile


class Hashes(Protocol):
    """Anything that has the hashes of tiles."""

    size: int

    def tile(self, level: int, number: int) -> Sequence[bytes]:
        """Return the hashes of a tile, as many as the tree has there."""
        ...


class Tiles:
    """The tiles of a log of a certain size; the hashes are as good as the files.

    Args:
        folder: of the log.
        size: leaves, as a checkpoint says.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._read: dict[tuple[int, int], Sequence[bytes]] = {}

    def tile(self, level: int, number: int) -> Sequence[bytes]:
        """Return the hashes of a tile.

        Raises:
            NotSound: the file is missing or too short.
        """
        if (level, number) not in self._read:
            width = width_of(self.size, level, number)
            content = read_tile(self.folder, str(level), number, width)
            if len(content) < width * HASH_BYTES:
                raise NotSound(f"tile {level}/{number} is cut off")
            self._read[level, number] = hashes_in(content)[:width]
        return self._read[level, number]

    def subtree(self, start: int, end: int) -> bytes:
        """Return the hash of a range of leaves."""
        return subtree(self, start, end)


class Rehashed:
    """A tree in memory that grows by bundles of leaves; no tile of the log is believed."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = []

    def add(self, leaves: Sequence[bytes]) -> None:
        """Add the next leaves; all but the last bundle must have 256."""
        self._grow(0, [leaf_hash(leaf) for leaf in leaves])
        self.size += len(leaves)

    def tile(self, level: int, number: int) -> Sequence[bytes]:
        """Return the hashes of a tile."""
        return self._levels[level][number * WIDTH : (number + 1) * WIDTH]

    def leaf(self, index: int) -> bytes:
        """Return the hash of a leaf."""
        return self._levels[0][index]

    def root(self, size: int) -> bytes:
        """Return the root that the tree had when it had so many leaves."""
        return subtree(self, 0, size) if size else EMPTY_ROOT

    def tiles(self) -> Iterator[tuple[int, int, Sequence[bytes]]]:
        """Yield (level, number, hashes) of all tiles."""
        for level, hashes in enumerate(self._levels):
            for number in range(-(-len(hashes) // WIDTH)):
                yield level, number, self.tile(level, number)

    def _grow(self, level: int, hashes: list[bytes]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        here = self._levels[level]
        here.extend(hashes)
        if len(here) % WIDTH == 0:
            self._grow(level + 1, [root_of(here[-WIDTH:])])


def subtree(hashes: Hashes, start: int, end: int) -> bytes:
    """Return the hash of a range of leaves that begins where a subtree of its length can."""
    count = end - start
    if count & (count - 1):
        middle = start + split(count)
        return node_hash(subtree(hashes, start, middle), subtree(hashes, middle, end))
    level = (count.bit_length() - 1) // _HEIGHT
    one = WIDTH**level
    number, first = divmod(start // one, WIDTH)
    return root_of(hashes.tile(level, number)[first : first + count // one])


def width_of(size: int, level: int, number: int) -> int:
    """Return how many hashes a tile has in a log of a size; 256 if it is full."""
    return min(WIDTH, max(0, (size >> _HEIGHT * level) - number * WIDTH))


def tile_path(level: str, number: int, width: int) -> str:
    """Return the path of a tile below the log's folder.

    Args:
        level: number of the level, or `entries`.
        number: of the tile.
        width: hashes or leaves in it.
    """
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def read_tile(folder: Path, level: str, number: int, width: int) -> bytes:
    """Return the content of a tile; once it is full, its partial forms may be gone.

    Raises:
        Unreadable: it may be there and cannot be read.
        NotSound: it is missing.
    """
    for there in dict.fromkeys((width, WIDTH)):
        content = content_of(folder / tile_path(level, number, there))
        if content is not None:
            return content
        if why := unreadable(folder / tile_path(level, number, there)):
            raise Unreadable(f"{tile_path(level, number, there)} cannot be read: {why}")
    raise NotSound(f"{tile_path(level, number, width)} is missing")


def hashes_in(content: bytes) -> list[bytes]:
    """Return the hashes of a tile's content; a rest that is no whole hash is left out."""
    return [content[at : at + HASH_BYTES] for at in range(0, len(content) - HASH_BYTES + 1, HASH_BYTES)]


def pack(leaves: Sequence[bytes]) -> bytes:
    """Return an entry bundle of some leaves."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def unpack(content: bytes, width: int) -> list[bytes]:
    """Return the first leaves of an entry bundle.

    Raises:
        NotSound: it has fewer.
    """
    leaves: list[bytes] = []
    at, there = 0, len(content)
    for _ in range(width):
        end = at + 2 + int.from_bytes(content[at : at + 2], "big")
        if at + 2 > there or end > there:
            raise NotSound(f"an entry bundle has {len(leaves)} leaves where there should be {width}")
        leaves.append(content[at + 2 : end])
        at = end
    return leaves


def bundles(folder: Path, size: int, first: int = 0) -> Iterator[list[bytes]]:
    """Yield the leaves of a log, one bundle at a time.

    Args:
        folder: of the log.
        size: leaves, as a checkpoint says.
        first: number of the bundle to begin with.

    Raises:
        NotSound: a bundle is missing or cut off.
    """
    for number in range(first, -(-size // WIDTH)):
        width = min(WIDTH, size - number * WIDTH)
        yield unpack(read_tile(folder, ENTRIES, number, width), width)


def bundles_with(
    folder: Path, size: int, needle: bytes, numbers: Iterable[int]
) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (index of the first, leaves) of the bundles that hold a text; others are not taken apart.

    Args:
        folder: of the log.
        size: leaves, as a checkpoint says.
        needle: the text.
        numbers: of the bundles to look into.

    Raises:
        NotSound: a bundle is missing, or one of these is cut off.
    """
    for number in numbers:
        first = number * WIDTH
        width = min(WIDTH, size - first)
        content = read_tile(folder, ENTRIES, number, width)
        if needle in content:
            yield first, unpack(content, width)


def rehash(folder: Path, size: int) -> Rehashed:
    """Return the tree over all leaves of a log, hashed again.

    Raises:
        NotSound: a bundle is missing or cut off.
    """
    tree = Rehashed()
    for leaves in bundles(folder, size):
        tree.add(leaves)
    return tree
