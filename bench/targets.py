"""What was set as a target, and whether it is reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import figures, single, ways
from bench.measure import Measured
from bench.process import Taken

TYPICAL_SUITE = 20


@dataclass(frozen=True)
class Target:
    """One target.

    Args:
        text: what is asked for.
        limit: the number that decides.
        value: what was measured; None when it was not.
        unit: of both numbers.
        at_least: the value must not be below the limit; otherwise not above it.
    """

    text: str
    limit: float
    value: float | None
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> str:
        """`yes`, `no`, or `not measured`, which is no yes."""
        if self.value is None:
            return "not measured"
        return "yes" if (self.value >= self.limit if self.at_least else self.value <= self.limit) else "no"


def judged(measured: Measured) -> tuple[Target, ...]:
    """Return every target with what was measured."""
    return tuple(_judged(measured))


def _judged(measured: Measured) -> Iterator[Target]:
    suite, lone = measured.suite, measured.single
    for base, limit in ((ways.STOCK, 20), (ways.STOCK_2, 10), (ways.API_2, 5)):
        text = f"the suite, warm: times as quick as {base}"
        yield Target(text, limit, _quicker(suite[base], suite.get(ways.WARM)), "x", at_least=True)
    yield Target("one runbook, warm", 0.6, _seconds(lone.get(single.WARM)), "s")
    for name in (single.PLAIN, single.FIRST):
        value = _quicker(lone[single.STOCK], lone.get(name))
        yield Target(f"{name}: times as quick as papermill", 1, value, "x", at_least=True)
    yield Target(single.HELP, 0.15, _seconds(lone.get(single.HELP)), "s")
    yield Target("processor time of a runbook beyond its own work", 0.25, _beyond(measured), "s")
    yield Target(
        "a run in the largest suite: times what it takes in a usual one", 1.1, _steady(measured), "x"
    )


def _quicker(base: Sequence[Taken], rounds: Sequence[Taken] | None) -> float | None:
    return figures.ratio(base, rounds).median if rounds else None


def _seconds(rounds: Sequence[Taken] | None) -> float | None:
    return figures.seconds(rounds).median if rounds else None


def _beyond(measured: Measured) -> float | None:
    spent = figures.cpu(measured.suite.get(ways.WARM, ()))
    return None if spent is None else spent / len(measured.entries) - measured.own_cpu


def _steady(measured: Measured) -> float | None:
    each = {size: taken.seconds / size for size, taken in measured.growth.items()}
    usual, largest = each.get(TYPICAL_SUITE), max(each, default=0)
    return each[largest] / usual if usual else None
