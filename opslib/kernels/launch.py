"""Ask the zygote for one kernel, and make sure that none is left where that does not come to an end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from opslib.kernels import client, environ, wire
from opslib.kernels.client import Cold, Connection
from opslib.kernels.handle import Forked

FORK_S = 15.0
_GONE_S = 10.0
# A zygote may be found stale, and so may the next, when files are being written at this moment.
_RENEWALS = 3


class Launch:
    """One attempt to get a forked kernel; `run` in a thread, `abandon` from another.

    Args:
        command: of the plain kernel.
        argv: what of it is for the kernel itself.
        cwd: its working directory.
        env: its environment.
        streams: descriptors for its stdout and stderr.
        errand: a command of opslib is wanted, whose words `argv` are, and no kernel.
    """

    def __init__(
        self,
        command: Sequence[str],
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        streams: tuple[int, int],
        errand: bool = False,
    ) -> None:
        self._request = {
            "errand": errand,
            "command": list(command),
            "executable": sys.executable,
            "argv": list(argv),
            "cwd": cwd,
            "env": dict(env),
            **_means(),
        }
        self._streams = streams
        self._abandoned = False
        self._connection: Connection | None = None

    def run(self) -> Forked:
        """Return the kernel, its sockets bound.

        Raises:
            Cold: there is none, and no trace of one is left.
        """
        for _ in range(_RENEWALS):
            # Where none listens we wait for one: it imports what a plain kernel would import in our stead.
            # In the same run waiting took 0.47 of what papermill takes, and a plain kernel beside a zygote
            # that starts 0.43 and three times the processor's time; earlier it was the slower of the two.
            connection = client.connected(time.monotonic() + client.START_S, lambda: self._abandoned)
            self._connection = connection
            forked = self.forked(connection)
            if forked:
                return forked
        raise Cold("what is loaded changes all the time")

    def abandon(self) -> None:
        """Have `run` end soon, without a kernel."""
        self._abandoned = True
        if self._connection:
            with suppress(OSError):
                self._connection.socket.shutdown(socket.SHUT_RDWR)

    def forked(self, connection: Connection) -> Forked | None:
        """Return a kernel; None when the zygote is out of date and has made way for another.

        Raises:
            Cold: there is none, and no trace of one is left.
        """
        pid = 0
        try:
            self._comparable(connection.greeting["fixed"])
            connection.socket.settimeout(FORK_S)
            first = connection.ask(wire.FORK)
            if "stale" in first:
                connection.close()
                return None
            pid = _pid(first)
            wire.send_request(connection.socket, self._request, self._streams)
            self._ready(connection.lines.next())
            return Forked(connection.socket, connection.lines, pid)
        except BaseException as error:
            _undone(connection, pid)
            if isinstance(error, OSError):
                raise Cold(f"the zygote does not answer: {error}") from error
            raise

    def _comparable(self, fixed: Mapping[str, str]) -> None:
        others = environ.differing(fixed, environ.fixed(self._request["env"], self._request["cwd"]))
        if others:
            raise Cold(f"{', '.join(others)} cannot be given to an interpreter that has started")

    def _ready(self, message: wire.Message) -> None:
        if not message.get("ready"):
            raise Cold(str(message.get("refused", f"the fork ended: {message}")))


def _pid(message: wire.Message) -> int:
    if "pid" not in message:
        raise Cold(str(message.get("refused", message)))
    return int(message["pid"])


def _means() -> dict[str, Any]:
    """Return what a child has of its parent: limits, mask, cores, priority, signals that are ignored."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"]
    told = Path("/proc/self/status").read_text(encoding="utf-8")
    mask = next(line.split()[1] for line in told.splitlines() if line.startswith("Umask:"))
    numbers = signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}
    return {
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
        "umask": int(mask, 8),
        "cores": sorted(os.sched_getaffinity(0)),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "ignored": [int(number) for number in numbers if signal.getsignal(number) is signal.SIG_IGN],
    }


def _undone(connection: Connection, pid: int) -> None:
    """Let go of a fork and wait until it is gone: a plain kernel is to have the same connection file.

    Without a process id the request was not sent, and a fork without a request ends by itself.
    """
    with suppress(OSError):
        connection.close()
    if pid and not client.ended(pid, _GONE_S):
        raise RuntimeError(f"process {pid}, a kernel that was not ready, does not end")
