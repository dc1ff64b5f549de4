"""From seconds to rows: medians, spread, and ratios between measurements of the same round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.process import Taken


@dataclass(frozen=True)
class Spread:
    """Values of several rounds.

    Args:
        values: one a round.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)


def seconds(rounds: Sequence[Taken]) -> Spread:
    """Return the seconds by the clock."""
    return Spread(tuple(taken.seconds for taken in rounds))


def cpu(rounds: Sequence[Taken]) -> float | None:
    """Return the median of processor seconds; None when no round has them."""
    known = [taken.cpu for taken in rounds if taken.cpu is not None]
    return statistics.median(known) if known else None


def ratio(base: Sequence[Taken], rounds: Sequence[Taken]) -> Spread:
    """Return how many times quicker than the base, round by round: both had the same load on the machine."""
    return Spread(tuple(one.seconds / other.seconds for one, other in zip(base, rounds, strict=True)))
