"""An act that is carried out in many steps, each a transaction of its own that may be the last.

Several hands can be at it at once, each over a connection of its own and in a stretch of its own; who is
through with one takes the next. What a step says of where it came to is where the next one there begins.
Each goes on by itself: to be told of every step would cost as much as a small one takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import TYPE_CHECKING, Any

from opslib.errors import Unreachable
from opslib.gate import faults

if TYPE_CHECKING:
    from opslib.changes import Kind
    from opslib.gate.plan import Target
    from opslib.pg.frame import Row

Stretch = Mapping[str, Any]
Hand = Callable[[Stretch], "list[Row]"]
Done = dict[str, int]
Answer = dict[str, Any] | Unreachable  # the latter: it did not get through, and may the next time

# A disk that syncs slowly must not hold up the steps; what is done is told by looking, not by these notes.
NOTED_S = 1.0
# How long all are at it until the first rests, so that somebody can look around over its connection.
TURN_S = 0.2
# How much longer the others go on while it is at a step of its own: nobody looks around meanwhile.
UNWATCHED_S = 0.2
# Others held a lock too long, or were at the same rows: nothing was done, and the next step may get through.
HELD = ("lock-timeout", "statement-timeout")
PASSING = (*HELD, "moved")


def taken(hands: Sequence[Hand], kind: Kind, way: Target, narrows: Sequence[str]) -> Iterator[str]:
    """Take one step after the other, and say now and then what all of them have done so far.

    Args:
        hands: each carries the act out once within a stretch. Another one than the first whose connection
            is lost is done without.
        kind: tells how to cut the act into stretches, and when nothing is left to do. It is asked only
            while the first hand rests, as it asks over the same connection.
        way: the target.
        narrows: the columns of an answer that say where the next step begins, null where none follows.

    Raises:
        SourceError: a step failed in a way that does not pass, or what passes else did not while it waited.
    """
    so_far = Done()
    with ThreadPoolExecutor(len(hands)) as pool:
        crew = _Crew(hands, pool, narrows)
        try:
            while True:
                if not crew.has_work:
                    crew.stretches += kind.stretches(way, len(crew.able))
                if done := crew.turn():
                    _add(so_far, done)
                    yield ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in so_far.items())
                if not kind.more(way, done):
                    if crew.hindrance and not done:
                        raise crew.hindrance
                    return
        finally:
            crew.stop()


class _Crew:
    """Some hands, each of which takes the next stretch when it is free.

    Args:
        hands: the first is never done without.
        pool: in whose threads they work.
        narrows: as for `taken`.
    """

    def __init__(self, hands: Sequence[Hand], pool: Executor, narrows: Sequence[str]) -> None:
        self.able, self.stretches = list(hands), list[Stretch]()
        self.hindrance: Unreachable | None = None  # why the last step did not get through
        self._first, self._pool, self._narrows = hands[0], pool, narrows
        self._busy: dict[Future[None], Hand] = {}
        self._changing, self._done = Lock(), Done()
        self._turn_ends, self._hindered = 0.0, False

    @property
    def has_work(self) -> bool:
        """Somebody is at work, or a stretch is left."""
        return bool(self._busy or self.stretches)

    def turn(self) -> Done:
        """Let all work for a while until the first rests, or any other where nothing is left to it.

        Meanwhile and after it the others go on, as nobody should wait for the slowest; but not for long,
        because nobody looks meanwhile whether they may, and not after a step that a lock held up.
        """
        self._turn_ends, self._hindered = time.monotonic() + TURN_S, False
        self._set_to_work()
        while self._busy:
            self._ended(wait(self._busy, return_when=FIRST_COMPLETED).done)
            rests = self._first not in self._busy.values()
            if rests and (self._done or not self._busy):
                break
        with self._changing:
            done, self._done = self._done, Done()
        return done

    def _ended(self, shifts: Iterable[Future[None]]) -> None:
        """Note whose shift is over; where several broke, a lost connection weighs most: nobody knows then."""
        for shift in shifts:
            del self._busy[shift]
        broken = [error for shift in shifts if (error := shift.exception())]
        if broken:
            self.stop()
            broken += [error for shift in wait(self._busy).done if (error := shift.exception())]
            raise min(broken, key=lambda error: not isinstance(error, Unreachable))

    def stop(self) -> None:
        """Have nobody begin another step."""
        self._turn_ends = -UNWATCHED_S

    def _set_to_work(self) -> None:
        at_work = list(self._busy.values())
        for hand in [hand for hand in self.able if hand not in at_work]:
            with self._changing:
                stretch = self.stretches.pop(0) if self.stretches else None
            if stretch is not None:
                self._busy[self._pool.submit(self._work, hand, stretch)] = hand

    def _work(self, hand: Hand, stretch: Stretch) -> None:
        """Take step after step, until it is time to rest or no stretch is left."""
        until = 0.0 if hand is self._first else UNWATCHED_S
        left: Stretch | None = stretch
        while left is not None:
            answer = self._answer(hand, left)
            with self._changing:
                self._note(left, answer)
                over = self._hindered or time.monotonic() >= self._turn_ends + until
                goes_on = self.stretches and hand in self.able and not over
                left = self.stretches.pop(0) if goes_on else None

    def _answer(self, hand: Hand, stretch: Stretch) -> Answer:
        try:
            return _once(hand, stretch)
        except Unreachable as error:
            if hand is self._first:
                raise
            self.able.remove(hand)
            return error

    def _note(self, stretch: Stretch, answer: Answer) -> None:
        """Put what is left of a stretch before the others, and after them where somebody was in the way."""
        self.hindrance = answer if isinstance(answer, Unreachable) else None
        if isinstance(answer, Unreachable):
            self._hindered |= answer.kind in HELD
            self.stretches.append(stretch)
        elif answer:
            came_to = {name: answer[name] for name in self._narrows if name in answer}
            if None not in came_to.values():
                self.stretches.insert(0, {**stretch, **came_to})
            _add(self._done, {name: int(value) for name, value in answer.items() if name not in came_to})
            faults.reach(faults.STEP)


def _add(to: Done, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        to[name] = to.get(name, 0) + value


def _once(hand: Hand, stretch: Stretch) -> Answer:
    """Return what one step has done; nothing where it found nothing to do."""
    try:
        found = hand(stretch)
    except Unreachable as error:
        if error.kind not in PASSING:
            raise
        return error
    return found[0] if found else {}
