"""The tree: known answers of RFC 6962, and every proof held against a naive tree."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache, partial
from hashlib import sha256
from itertools import accumulate

import pytest

from opslib.evidence.edge import Edge
from opslib.evidence.merkle import (
    EMPTY_ROOT,
    consistency,
    consistent,
    inclusion,
    leaf_hash,
    root_from_inclusion,
    root_of,
)
from opslib.evidence.plain import NotSound
from opslib.evidence.tiles import Rehashed, subtree, tile_path

# The eight leaves and the roots over the first of them that logs of certificates are tried with.
LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
NEIGHBOURS = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
SIX_TO_EIGHT = (
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
)


class Naive:
    """A tree by the words of RFC 6962, section 2.1, and nothing quicker."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves

    def hash(self, start: int, end: int) -> bytes:
        """MTH of a range of leaves."""
        if end - start < 2:
            return sha256(b"\x00" + self.leaves[start]).digest() if end > start else sha256().digest()
        half = 1
        while half * 2 < end - start:
            half *= 2
        return sha256(b"\x01" + self.hash(start, start + half) + self.hash(start + half, end)).digest()


def grown(leaves: Sequence[bytes]) -> Rehashed:
    """Return a tree in memory over some leaves."""
    tree = Rehashed()
    for start in range(0, len(leaves), 256):
        tree.add(leaves[start : start + 256])
    return tree


def numbers(count: int) -> list[bytes]:
    """Return so many different leaves."""
    return [str(number).encode() for number in range(count)]


def test_roots_are_those_that_others_have_computed() -> None:
    """A log that hashed otherwise could be checked by nobody else."""
    tree = grown(LEAVES)
    assert root_of([]) == tree.root(0) == EMPTY_ROOT == sha256().digest()
    for size, root in enumerate(ROOTS, 1):
        assert tree.root(size).hex() == root == root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex()


def test_proofs_are_those_that_others_have_computed() -> None:
    """Also the order of the hashes in a proof is part of the format."""
    subtree = Naive(LEAVES).hash
    assert [step.hex() for step in inclusion(subtree, 0, 8)] == list(NEIGHBOURS)
    assert [step.hex() for step in consistency(subtree, 1, 8)] == list(NEIGHBOURS)
    assert [step.hex() for step in consistency(subtree, 6, 8)] == list(SIX_TO_EIGHT)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 64, 70])
def test_every_leaf_of_every_small_tree_can_be_proved(size: int) -> None:
    """And a proof holds for no other leaf, place or size."""
    leaves = numbers(size)
    naive = Naive(leaves)
    root = naive.hash(0, size)
    for index, leaf in enumerate(leaves):
        path = inclusion(naive.hash, index, size)
        assert root_from_inclusion(leaf_hash(leaf), index, size, path) == root
        for other in {index - 1, index + 1} & set(range(size)):
            assert not proves(leaf_hash(leaf), other, size, path, root)
        assert not proves(leaf_hash(b"other"), index, size, path, root)
        assert not proves(leaf_hash(leaf), index, size, (*path, root), root)
        assert not path or not proves(leaf_hash(leaf), index, size, path[:-1], root)


def proves(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Say whether a proof leads to a root."""
    try:
        return root_from_inclusion(leaf, index, size, path) == root
    except NotSound:
        return False


@pytest.mark.parametrize("new", [1, 2, 3, 7, 8, 33, 64, 70])
def test_every_small_tree_is_shown_to_continue_every_smaller_one(new: int) -> None:
    """And no proof holds for another root, on either side, or with a step more or less."""
    naive = Naive(numbers(new))
    root = naive.hash(0, new)
    for old in range(1, new + 1):
        path = consistency(naive.hash, old, new)
        before = naive.hash(0, old)
        assert consistent(old, new, before, root, path)
        assert not consistent(old, new, bytes(32), root, path)
        assert not consistent(old, new, before, bytes(32), path)
        assert not consistent(old, new, before, root, (*path, root))
        assert not path or not consistent(old, new, before, root, path[:-1])
    assert consistent(0, new, EMPTY_ROOT, root, ()) and not consistent(new + 1, new, root, root, ())


@pytest.mark.parametrize("size", [255, 256, 257, 511, 513, 65_535, 65_536, 65_537, 66_051])
def test_tiles_give_the_proofs_that_a_naive_tree_gives(size: int) -> None:
    """Around the sizes at which a tile is full, where an error would hide."""
    leaves = numbers(size)
    tree = grown(leaves)
    known = cache(Naive(leaves).hash)
    draw = random.Random(size)
    assert tree.root(size) == known(0, size)
    for index in {0, size - 1, size // 2, *(draw.randrange(size) for _ in range(8))}:
        assert inclusion(partial(subtree, tree), index, size) == inclusion(known, index, size)
        assert consistency(partial(subtree, tree), index, size) == consistency(known, index, size)


def test_the_edge_alone_leads_to_the_same_root_however_leaves_come() -> None:
    """Appending reads nothing but the edge, so the edge must be enough, in batches of any size."""
    draw = random.Random(6962)
    for _ in range(20):
        steps = [draw.choice((1, 1, 2, 3, 100, 255, 256, 257, 700)) for _ in range(draw.randrange(1, 12))]
        leaves = numbers(sum(steps))
        tree, edge = grown(leaves), Edge()
        for start, end in zip([0, *accumulate(steps)], accumulate(steps), strict=False):
            edge = edge.extended(leaves[start:end]).edge
            assert (edge.size, edge.root) == (end, tree.root(end))


def test_tiles_lie_where_the_format_has_them() -> None:
    """Others read these files by these names."""
    assert tile_path("0", 1_234_067, 256) == "tile/0/x001/x234/067"
    assert tile_path("entries", 273, 112) == "tile/entries/273.p/112"
    written = set(Edge().extended(numbers(70_000)).files)
    assert {path.split("/")[1] for path in written} == {"0", "1", "2", "entries"}
    assert {path for path in written if ".p/" in path} == {
        "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112",
    }  # fmt: skip
    assert len([path for path in written if path.startswith("tile/0/") and ".p/" not in path]) == 273
