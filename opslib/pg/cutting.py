"""Cutting a connection whose answer takes too long: no library call ends a wait on a silent network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg


@contextmanager
def cut_off(connection: psycopg.Connection, seconds: float, late: Event) -> Iterator[None]:
    """Cut a connection when its answer takes longer.

    Args:
        connection: open; what runs on it fails when it is cut.
        seconds: how long an answer may take.
        late: is set before the cut.
    """

    def now() -> None:
        late.set()
        _shut(descriptor)

    descriptor = connection.fileno()
    timer = Timer(seconds, now)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def cut(connection: psycopg.Connection) -> None:
    """Cut a connection that is used in another thread: what it waits for fails there."""
    import psycopg

    with suppress(psycopg.Error):
        _shut(connection.fileno())


def _shut(descriptor: int) -> None:
    # A copy of the descriptor: closing it must not pull the original from under the library.
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
