"""An act that is carried out in many steps, each a transaction of its own that may be the last.

Several hands can be at it at once, each over a connection of its own and in a stretch of its own. What a
step says of where it came to is where the next step of that hand begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opslib.errors import Unreachable

if TYPE_CHECKING:
    import pandas as pd

    from opslib.changes import Kind
    from opslib.gate.plan import Target

Stretch = Mapping[str, Any]
Hand = Callable[[Stretch], "pd.DataFrame"]
Answer = dict[str, Any] | None  # None: it did not get through, and may the next time

# A disk that syncs slowly must not hold up each step; what is done is told by looking, not by these notes.
NOTED_S = 1.0
# Others were at the same rows, or held a lock too long: nothing was done, and the next step may get through.
PASSING = ("moved", "lock-timeout", "statement-timeout")


def taken(hands: Sequence[Hand], kind: Kind, way: Target, narrows: Sequence[str]) -> Iterator[str]:
    """Take one step after the other, and say after each how many there were and what it has done.

    Args:
        hands: each carries the act out once within a stretch; the first in this thread. Another one whose
            connection is lost is done without.
        kind: tells how to cut the act into stretches, and when nothing is left to do.
        way: the target.
        narrows: the columns of an answer that say where the next step begins.

    Raises:
        SourceError: a step failed in a way that does not pass.
    """
    number, able, stretches = 0, list(hands), list[Stretch]()
    while True:
        stretches = stretches or kind.stretches(way, len(able))
        busy, rest = stretches[: len(able)], stretches[len(able) :]
        answers = _at_once(able, busy)
        if found := _summed(answers, narrows):
            number += 1
            yield f"step {number}: {', '.join(f'{value} {name}' for name, value in found.items())}"
        pairs = zip(busy, answers, strict=True)
        stretches = [*(_next(one, answer, narrows) for one, answer in pairs if answer != {}), *rest]
        if not kind.more(way, found):
            return


def _next(stretch: Stretch, answer: Answer, narrows: Sequence[str]) -> Stretch:
    return {**stretch, **{name: answer[name] for name in narrows if answer and name in answer}}


def _at_once(able: list[Hand], stretches: Sequence[Stretch]) -> list[Answer]:
    """Let each hand take one step, and wait for all: nobody looks at what is left while one is at work."""
    with ThreadPoolExecutor(len(stretches)) as pool:
        pairs = list(zip(able, stretches, strict=False))
        others = [(hand, pool.submit(_once, hand, stretch)) for hand, stretch in pairs[1:]]
        return [_once(*pairs[0]), *(_or_without(able, *other) for other in others)]


def _or_without(able: list[Hand], hand: Hand, step: Future[Answer]) -> Answer:
    """Return what a step of another hand has done; one that is cut off is asked no more."""
    try:
        return step.result()
    except Unreachable:
        able.remove(hand)
        return None


def _once(hand: Hand, stretch: Stretch) -> Answer:
    """Return what one step has done; nothing where it found nothing to do."""
    try:
        found = hand(stretch)
    except Unreachable as error:
        if error.kind not in PASSING:
            raise
        return None
    return {} if found.empty else {str(name): value for name, value in found.iloc[0].items()}


def _summed(answers: Sequence[Answer], narrows: Sequence[str]) -> dict[str, int]:
    """Return what the steps of all hands have done together."""
    done = [answer for answer in answers if answer]
    columns = dict.fromkeys(name for answer in done for name in answer if name not in narrows)
    return {name: sum(int(answer.get(name, 0)) for answer in done) for name in columns}
