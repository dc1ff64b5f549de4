"""A forked kernel as its client sees it: shaped like `subprocess.Popen`, held by a connection."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress

from opslib.kernels import wire


class Forked:
    """One kernel; it is killed when this is closed.

    Args:
        connection: to the zygote.
        lines: reads from that connection.
        pid: the kernel's process, which leads a group of its own.
    """

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, lines: wire.Lines, pid: int) -> None:
        self._connection = connection
        self._lines = lines
        self.pid = pid
        self.returncode: int | None = None
        self.orphaned = False
        connection.settimeout(None)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the kernel lives."""
        while self.returncode is None:
            try:
                message = self._lines.now()
            except OSError:
                self._bereft()
                break
            if message is None:
                break
            self.returncode = message.get("exit")
        if self.returncode is not None:
            self.close()  # whoever keeps a kernel that has ended keeps no descriptor with it
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            TimeoutError: it did not end within `timeout` seconds.
        """
        while self.poll() is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise TimeoutError
        assert self.returncode is not None
        return self.returncode

    async def ended(self) -> int:
        """Wait for the end without blocking, and return the exit code."""
        import asyncio  # 40 ms that who waits for a command has no use for

        loop = asyncio.get_running_loop()
        while self.poll() is None:
            # Each waiter watches a descriptor of its own: a loop has one reader for each.
            watched, news = os.dup(self._connection.fileno()), asyncio.Event()
            loop.add_reader(watched, news.set)
            try:
                await news.wait()
            finally:
                loop.remove_reader(watched)
                os.close(watched)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel and what it started, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill the kernel and what it started."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel and what it started to end."""
        self.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Let go of the kernel; if it still lives, it is killed."""
        self._connection.close()

    def _bereft(self) -> None:
        """The zygote was killed: the system kills its kernels, and we what they have started."""
        self.orphaned = True
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.returncode = -signal.SIGKILL
