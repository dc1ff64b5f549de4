"""An act that is carried out in many steps, each a transaction of its own that may be the last.

Several hands can be at it at once, each over a connection of its own and in a stretch of its own; who is
through with one takes the next. What a step says of where it came to is where the next one there begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from opslib.errors import Unreachable

if TYPE_CHECKING:
    from opslib.changes import Kind
    from opslib.gate.plan import Target
    from opslib.pg.frame import Row

Stretch = Mapping[str, Any]
Hand = Callable[[Stretch], "list[Row]"]
Answer = dict[str, Any] | Unreachable  # the latter: it did not get through, and may the next time

# A disk that syncs slowly must not hold up each step; what is done is told by looking, not by these notes.
NOTED_S = 1.0
# How long the others go on while the first is at a step of its own: it is the one that looks around.
UNWATCHED_S = 0.2
# Others were at the same rows, or held a lock too long: nothing was done, and the next step may get through.
PASSING = ("moved", "lock-timeout", "statement-timeout")


def taken(hands: Sequence[Hand], kind: Kind, way: Target, narrows: Sequence[str]) -> Iterator[str]:
    """Take one step after the other, and say now and then how many there were and what they have done.

    Args:
        hands: each carries the act out once within a stretch. Another one than the first whose connection
            is lost is done without.
        kind: tells how to cut the act into stretches, and when nothing is left to do. It is asked only
            while the first hand rests, as it asks over the same connection.
        way: the target.
        narrows: the columns of an answer that say where the next step begins.

    Raises:
        SourceError: a step failed in a way that does not pass, or what passes else did not while it waited.
    """
    number = 0
    with ThreadPoolExecutor(len(hands)) as pool:
        crew = _Crew(hands, pool, narrows)
        while True:
            if not crew.has_work:
                crew.stretches += kind.stretches(way, len(crew.able))
            if done := crew.work():
                number += 1
                said = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in done.items())
                yield f"step {number}: {said}"
            if not kind.more(way, done):
                if crew.hindrance and not done:
                    raise crew.hindrance
                return


class _Crew:
    """Some hands, each of which takes the next stretch when it is free.

    Args:
        hands: the first is never done without.
        pool: in whose threads they work.
        narrows: as for `taken`.
    """

    def __init__(self, hands: Sequence[Hand], pool: Executor, narrows: Sequence[str]) -> None:
        self.able, self.stretches = list(hands), list[Stretch]()
        self._first, self._pool, self._narrows = hands[0], pool, narrows
        self._busy: dict[Future[Answer], tuple[Hand, Stretch]] = {}
        self.hindrance: Unreachable | None = None  # why the last step did not get through

    @property
    def has_work(self) -> bool:
        """Somebody is at work, or a stretch is left."""
        return bool(self._busy or self.stretches)

    def work(self) -> dict[str, int]:
        """Let all work until the first has taken a step, or any other where none is left to it.

        Meanwhile the others go on, as nobody should wait for the slowest; but not for long, because nobody
        looks meanwhile whether they may, and not after a step that did not get through.
        """
        found, until, hindered = dict[str, int](), time.monotonic() + UNWATCHED_S, False
        self._set_to_work()
        while self._busy:
            for step in wait(self._busy, return_when=FIRST_COMPLETED).done:
                hand, stretch = self._busy.pop(step)
                answer = self._answer(step, hand)
                self._go_on(stretch, answer)
                self.hindrance = answer if isinstance(answer, Unreachable) else None
                hindered |= self.hindrance is not None
                self._add(found, answer)
            rests = all(hand is not self._first for hand, _ in self._busy.values())
            if rests and (found or not self._busy):
                break
            if not hindered and time.monotonic() < until:
                self._set_to_work()
        return found

    def _set_to_work(self) -> None:
        at_work = [hand for hand, _ in self._busy.values()]
        free = [hand for hand in self.able if hand not in at_work]
        for hand, stretch in zip(free, list(self.stretches), strict=False):
            self.stretches.remove(stretch)
            self._busy[self._pool.submit(_once, hand, stretch)] = hand, stretch

    def _go_on(self, stretch: Stretch, answer: Answer) -> None:
        """Put what is left of a stretch before the others, and after them where somebody was in the way."""
        if isinstance(answer, Unreachable):
            self.stretches.append(stretch)
        elif answer:
            came_to = {name: answer[name] for name in self._narrows if name in answer}
            self.stretches.insert(0, {**stretch, **came_to})

    def _add(self, found: dict[str, int], answer: Answer) -> None:
        for name, value in answer.items() if isinstance(answer, dict) else ():
            if name not in self._narrows:
                found[name] = found.get(name, 0) + int(value)

    def _answer(self, step: Future[Answer], hand: Hand) -> Answer:
        try:
            return step.result()
        except Unreachable as error:
            if hand is self._first:
                raise
            self.able.remove(hand)
            return error


def _once(hand: Hand, stretch: Stretch) -> Answer:
    """Return what one step has done; nothing where it found nothing to do."""
    try:
        found = hand(stretch)
    except Unreachable as error:
        if error.kind not in PASSING:
            raise
        return error
    return found[0] if found else {}
