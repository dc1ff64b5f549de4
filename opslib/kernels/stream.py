"""What `print` writes to in a forked kernel."""

from __future__ import annotations

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
