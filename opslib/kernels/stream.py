"""What `print` writes to in a kernel of ours."""

from __future__ import annotations

from functools import partial
from typing import Any

import zmq
from ipykernel.iostream import OutStream


class Stream(OutStream):  # type: ignore[misc]
    """ipykernel's stream, which waits for its thread only when there is something to send.

    It is flushed before every output and at the end of every cell, both streams each time, and mostly they
    are empty. What is in the thread's hands already is sent before anything that comes later: it sends in
    the order in which it is asked.
    """

    def flush(self) -> None:
        """Have what was written sent."""
        if self._buffers or self.echo is not None:
            super().flush()


class Patient(Stream):
    """A stream whose kernel waits where its only reader is slow, instead of losing what it cannot take yet.

    ipykernel sends to many readers and drops what comes faster than one of them reads: outputs, and even
    the word that a cell has ended. One that has stopped must not hold up the others in JupyterLab; a run
    has a single reader, who ends the kernel before it goes.
    """

    def __init__(self, session: Any, pub_thread: Any, name: str, **options: Any) -> None:
        super().__init__(session, pub_thread, name, **options)
        pub_thread.schedule(partial(pub_thread.socket.setsockopt, zmq.XPUB_NODROP, 1))
