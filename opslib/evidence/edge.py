"""The right edge of a log: all that appending needs, however large the log, and the files that it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opslib.evidence.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from opslib.evidence.plain import NotSound
from opslib.evidence.tiles import (
    ENTRIES,
    WIDTH,
    Tiles,
    pack,
    read_tile,
    tile_path,
    unpack,
    width_of,
)


@dataclass(frozen=True)
class Edge:
    """The tiles of a log that are not full.

    Args:
        size: leaves in the log.
        levels: hashes of the partial tile of each level, from the leaves up.
        bundle: the partial entry bundle.
    """

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()
    bundle: bytes = b""

    @classmethod
    def read(cls, folder: Path, size: int) -> Edge:
        """Return the edge of a log.

        Raises:
            NotSound: a file is missing, or the leaves are not those of their hashes.
        """
        tiles = Tiles(folder, size)
        levels: list[tuple[bytes, ...]] = []
        while size >> 8 * len(levels):
            number = (size >> 8 * len(levels)) // WIDTH
            partial = width_of(size, len(levels), number)
            levels.append(tuple(tiles.tile(len(levels), number)) if partial else ())
        leaves: list[bytes] = []
        if size % WIDTH:
            leaves = unpack(read_tile(folder, ENTRIES, size // WIDTH, size % WIDTH), size % WIDTH)
        if levels and tuple(map(leaf_hash, leaves)) != levels[0]:
            raise NotSound("the last leaves are not those of their hashes")
        return cls(size, tuple(levels), pack(leaves))

    @property
    def root(self) -> bytes:
        """The root of the whole log."""
        found = b""
        for level in self.levels:
            at = len(level)
            while at:  # complete subtrees, the smallest first
                width = at & -at
                part = root_of(level[at - width : at])
                found = node_hash(part, found) if found else part
                at -= width
        return found or EMPTY_ROOT

    def extended(self, leaves: Sequence[bytes]) -> Extension:
        """Return the edge after some more leaves, and what has to be on the disk for it."""
        growing = _Growing(self)
        for leaf in leaves:
            growing.add(leaf)
        return growing.done()


@dataclass(frozen=True)
class Extension:
    """What appending comes to.

    Args:
        edge: as it is afterwards.
        files: path below the log's folder -> content.
        full: paths of tiles that have become full; their partial forms are not needed any more.
    """

    edge: Edge
    files: dict[str, bytes]
    full: tuple[str, ...]


@dataclass
class _Growing:
    before: Edge
    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)
    bundle: bytearray = field(default_factory=bytearray)
    files: dict[str, bytes] = field(default_factory=dict)
    full: list[str] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.size = self.before.size
        self.levels = [list(level) for level in self.before.levels]
        self.bundle = bytearray(self.before.bundle)

    def add(self, leaf: bytes) -> None:
        self.bundle += pack([leaf])
        self.size += 1
        if self.size % WIDTH == 0:
            self._fill(ENTRIES, self.size // WIDTH - 1, bytes(self.bundle))
            self.bundle.clear()
        self._push(0, leaf_hash(leaf))

    def done(self) -> Extension:
        self.files.update(self._partial())
        edge = Edge(self.size, tuple(map(tuple, self.levels)), bytes(self.bundle))
        return Extension(edge, self.files, tuple(self.full))

    def _push(self, level: int, found: bytes) -> None:
        if level == len(self.levels):
            self.levels.append([])
        here = self.levels[level]
        here.append(found)
        self.touched.add(level)
        if len(here) == WIDTH:
            self._fill(str(level), (self.size >> 8 * level) // WIDTH - 1, b"".join(here))
            above = root_of(here)
            here.clear()
            self._push(level + 1, above)

    def _fill(self, level: str, number: int, content: bytes) -> None:
        path = tile_path(level, number, WIDTH)
        self.files[path] = content
        self.full.append(path)

    def _partial(self) -> Iterator[tuple[str, bytes]]:
        if self.bundle:
            yield tile_path(ENTRIES, self.size // WIDTH, self.size % WIDTH), bytes(self.bundle)
        for level in sorted(self.touched):
            if hashes := self.levels[level]:
                number = (self.size >> 8 * level) // WIDTH
                yield tile_path(str(level), number, len(hashes)), b"".join(hashes)
