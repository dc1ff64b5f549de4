"""One database over several connections at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from opslib.errors import SourceError

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
        connections: to one database, from `opened`.
        questions: ask whichever takes them, and nothing else. Those that take long come first, so that
            nobody waits for the last.

    Returns:
        The answers, in the order of the questions.

    Raises:
        SourceError: one of them could not be answered; what else was being asked has ended then.
    """
    if len(connections) == 1:
        return [ask(connections[0]) for ask in questions]
    free: SimpleQueue[Database] = SimpleQueue()
    for connection in connections:
        free.put(connection)
    answers, over = dict[int, Answer](), Event()

    def answer(number: int) -> None:
        connection = free.get()
        try:
            if not over.is_set():
                answers[number] = questions[number](connection)
        except BaseException:
            over.set()
            raise
        finally:
            free.put(connection)

    with ThreadPoolExecutor(len(connections)) as pool:
        asked = [pool.submit(answer, number) for number in range(len(questions))]
        try:
            for one in as_completed(asked):
                one.result()
        except BaseException:
            over.set()
            _end(connections, asked)
            raise
    return [answers[number] for number in range(len(questions))]


def _end(connections: Sequence[Database], asked: Sequence[Future[None]]) -> None:
    # More than once: a question that is only on its way to the server cannot be ended there yet.
    while wait(asked, timeout=_AGAIN_S).not_done:
        for connection in connections:
            connection.cancel()
