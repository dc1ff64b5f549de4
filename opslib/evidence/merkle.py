"""Merkle trees as RFC 6962 has them: hashes, inclusion proofs, consistency proofs.

A proof is made from a function that returns the hash of any range of leaves, so the same code works on
tiles on a disk, on a tree in memory and on a naive one in a test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from opslib.evidence.plain import NotSound

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
_LEAF, _NODE = b"\x00", b"\x01"  # apart, so that no leaf can be taken for a node

Subtree = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(_LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node above two others."""
    return hashlib.sha256(_NODE + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree, given the hashes of its leaves."""
    level, sha256 = list(hashes) or [EMPTY_ROOT], hashlib.sha256
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        # As `node_hash`, without a call for each: a tile has 255 of them.
        level = [sha256(_NODE + left + right).digest() for left, right in pairs] + odd
    return level[0]


def split(count: int) -> int:
    """Return how many of `count` leaves (two or more) lie on the left: the largest power of two below it."""
    return 1 << (count - 1).bit_length() - 1


def inclusion(subtree: Subtree, index: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that a leaf is in a tree, from the leaf's neighbour up to the child of the root.

    Args:
        subtree: returns the hash of the leaves from the first number up to, without, the second.
        index: the leaf, counted from 0.
        size: leaves in the tree.
    """
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return tuple(reversed(path))


def consistency(subtree: Subtree, old: int, new: int) -> tuple[bytes, ...]:
    """Return the proof that a tree of `old` leaves is how one of `new` leaves began.

    Args:
        subtree: as for `inclusion`.
        old: leaves in the smaller tree.
        new: leaves in the larger one.
    """
    if old in (0, new):
        return ()
    path = []
    start, end, known = 0, new, True  # known: the verifier has the hash of this range, it is the old root
    while end != old:
        middle = start + split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, known = middle, False
    return tuple(reversed(path if known else [*path, subtree(start, end)]))


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that follows from a leaf's hash and its proof.

    Raises:
        NotSound: the proof is too long or too short for this place.
    """
    if not 0 <= index < size:
        raise NotSound(f"there is no leaf {index} in a tree of {size}")
    place, last, found = index, size - 1, leaf
    for step in path:
        if not last:
            raise NotSound("the inclusion proof is too long")
        if place & 1 or place == last:
            found = node_hash(step, found)
            place, last = _up_from_the_right(place, last)
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last:
        raise NotSound("the inclusion proof is too short")
    return found


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Say whether a proof shows that the tree of `old` leaves is how the one of `new` leaves began."""
    if old == new:
        return old_root == new_root and not path
    if not 0 < old < new:
        return old == 0 and old_root == EMPTY_ROOT and not path
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    return bool(steps) and _both_roots(old - 1, new - 1, steps) == (old_root, new_root)


def _both_roots(place: int, last: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the old and the new root that follow from a consistency proof; None if its length is wrong."""
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = steps[0]
    for step in steps[1:]:
        if not last:
            return None
        if place & 1 or place == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            place, last = _up_from_the_right(place, last)
        else:
            newer = node_hash(newer, step)
        place, last = place >> 1, last >> 1
    return None if last else (older, newer)


def _up_from_the_right(place: int, last: int) -> tuple[int, int]:
    """Climb over the levels on which the last node has no neighbour."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last
