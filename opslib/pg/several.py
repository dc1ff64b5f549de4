"""One database over several connections at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from opslib.errors import SourceError

if TYPE_CHECKING:
    from opslib.pg.database import Database

Answer = TypeVar("Answer")

# The operator's role may have one more, by what `opslib doctor --sql` prints: to ask who has the lock.
_MOST = 2


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


@contextmanager
def meanwhile(beside: Database, ask: Callable[[], Answer]) -> Iterator[Future[Answer]]:
    """Ask something over another connection while the one here is asked.

    Args:
        beside: the other connection; what it is asked ends when whoever waits for it has gone.
        ask: asks it, and nothing else.
    """
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        try:
            yield asked
        except BaseException:
            beside.cancel()
            raise
