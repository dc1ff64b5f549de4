"""One database over several connections at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from opslib.errors import SourceError, Unreachable

if TYPE_CHECKING:
    from opslib.pg.database import Database

Answer = TypeVar("Answer")

# The operator's role may have one more, by what `opslib doctor --sql` prints: to ask who has the lock.
_MOST = 2
_AGAIN_S = 0.05


@contextmanager
def opened(database: Database, wanted: Any) -> Iterator[list[Database]]:
    """Give as many connections as a plan asks for and the server has; one is enough, and slower.

    Args:
        database: the first, which stays open. It holds the lock, and the others act only as long as it does.
        wanted: how many in all, as a plan says it: what is no count is one.
    """
    with ExitStack() as stack:
        databases = [database]
        with suppress(SourceError):
            for _ in range((min(wanted, _MOST) if type(wanted) is int else 1) - 1):
                databases.append(stack.enter_context(closing(database.another())))
        yield databases


def shared(
    connections: Sequence[Database], questions: Sequence[Callable[[Database], Answer]]
) -> list[Answer]:
    """Ask several things; each connection takes the next question when it is free.

    Args:
        connections: to one database, from `opened`. Another one than the first that does not answer is
            done without.
        questions: ask whichever takes them, and nothing else. Those that take long come first, so that
            nobody waits for the last.

    Returns:
        The answers, in the order of the questions.

    Raises:
        SourceError: one of them could not be answered; what else was being asked has ended then.
    """
    if len(connections) == 1:
        return [ask(connections[0]) for ask in questions]
    share = _Share(connections, questions)
    with ThreadPoolExecutor(len(connections)) as pool:
        asked: list[Future[None]] = []
        try:
            asked += (pool.submit(share.answer, number) for number in range(len(questions)))
            for one in as_completed(asked):
                one.result()
        except BaseException:
            share.end(asked)
            raise
    return [share.answers[number] for number in range(len(questions))]


class _Share(Generic[Answer]):
    """Questions, and the connections that are free for them."""

    def __init__(
        self, connections: Sequence[Database], questions: Sequence[Callable[[Database], Answer]]
    ) -> None:
        self.answers: dict[int, Answer] = {}
        self._connections, self._questions, self._over = connections, questions, Event()
        self._free: SimpleQueue[Database] = SimpleQueue()
        for connection in connections:
            self._free.put(connection)

    def answer(self, number: int) -> None:
        """Have a question answered, by the next connection where one turns out to be lost."""
        while number not in self.answers and not self._over.is_set():
            connection, lost = self._free.get(), False
            try:
                if not self._over.is_set():
                    self.answers[number] = self._questions[number](connection)
            except BaseException as error:
                lost = isinstance(error, Unreachable) and connection is not self._connections[0]
                if not lost:
                    self._over.set()
                    raise
            finally:
                if not lost:
                    self._free.put(connection)

    def end(self, asked: Sequence[Future[None]]) -> None:
        """Have the server end what is being asked; whoever interrupts this as well does not end that."""
        self._over.set()
        try:
            self._cancel()
            # More than once: a question that is only on its way to the server cannot be ended there yet.
            while wait(asked, timeout=_AGAIN_S).not_done:
                self._cancel()
        except KeyboardInterrupt:
            self.end(asked)

    def _cancel(self) -> None:
        for connection in self._connections:
            connection.cancel()
