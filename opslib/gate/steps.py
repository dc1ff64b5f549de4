"""An act that is carried out in many steps, each a transaction of its own that may be the last.

Several hands can be at it at once, each over a connection of its own and in a stretch of its own. What a
step says of where it came to is where the next step of that hand begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opslib.errors import Unreachable

if TYPE_CHECKING:
    import pandas as pd

    from opslib.changes import Kind
    from opslib.gate.plan import Target

Stretch = Mapping[str, Any]
Hand = Callable[[Stretch], "pd.DataFrame"]
Answer = dict[str, Any]

# A disk that syncs slowly must not hold up each step; what is done is told by looking, not by these notes.
NOTED_S = 1.0
# Others were at the same rows, or held a lock too long: nothing was done, and the next step may get through.
_PASSING = ("moved", "lock-timeout", "statement-timeout")


def taken(hands: Sequence[Hand], kind: Kind, way: Target, narrows: Sequence[str]) -> Iterator[str]:
    """Take one step after the other, and say after each how many there were and what it has done.

    Args:
        hands: each carries the act out once within a stretch; the first in this thread.
        kind: tells how to cut the act into stretches, and when nothing is left to do.
        way: the target.
        narrows: the columns of an answer that say where the next step begins.

    Raises:
        SourceError: a step failed in a way that does not pass.
    """
    number, stretches = 0, list[Stretch]()
    while True:
        stretches = stretches or kind.stretches(way, len(hands))
        answers = _at_once(hands, stretches)
        if found := _summed(answers, narrows):
            number += 1
            yield f"step {number}: {', '.join(f'{value} {name}' for name, value in found.items())}"
        stretches = [
            {**stretch, **{name: answer[name] for name in narrows if name in answer}}
            for stretch, answer in zip(stretches, answers, strict=True)
            if answer
        ]
        if not kind.more(way, found):
            return


def _at_once(hands: Sequence[Hand], stretches: Sequence[Stretch]) -> list[Answer]:
    """Let each hand take one step, and wait for all: nobody looks at what is left while one is at work."""
    with ThreadPoolExecutor(len(stretches)) as pool:
        pairs = list(zip(hands, stretches, strict=False))
        others = [pool.submit(_once, hand, stretch) for hand, stretch in pairs[1:]]
        return [_once(*pairs[0]), *(other.result() for other in others)]


def _once(hand: Hand, stretch: Stretch) -> Answer:
    """Return what one step has done; nothing where it found nothing to do."""
    try:
        found = hand(stretch)
    except Unreachable as error:
        if error.kind not in _PASSING:
            raise
        return {}
    return {} if found.empty else {str(name): value for name, value in found.iloc[0].items()}


def _summed(answers: Sequence[Answer], narrows: Sequence[str]) -> dict[str, int]:
    """Return what the steps of all hands have done together."""
    columns = dict.fromkeys(name for answer in answers for name in answer if name not in narrows)
    return {name: sum(int(answer.get(name, 0)) for answer in answers) for name in columns}
