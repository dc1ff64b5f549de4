"""Draw a sample by lot so that anybody can draw it again, and nobody can have chosen it.

The seed is the digest of the log's head, followed by a word of the auditor if there is one. A run's number is
the digest of seed, space and run id, all in hexadecimal; the runs with the smallest numbers are drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from opslib.evidence.notes import Note


def seed(head: Note, word: str) -> str:
    """Return the seed of a draw.

    Args:
        head: of the log.
        word: of the auditor, so that not even the moment of the draw could be chosen; or empty.
    """
    return hashlib.sha256((head.text + word).encode()).hexdigest()


def drawn(runs: Iterable[str], seed: str, count: int | None) -> tuple[str, ...]:
    """Return the runs that are drawn, in the order of their numbers; all of them where there is no count."""
    ordered = sorted(runs, key=lambda run: hashlib.sha256(f"{seed} {run}".encode()).hexdigest())
    return tuple(ordered if count is None else ordered[:count])
