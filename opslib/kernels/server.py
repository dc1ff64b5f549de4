"""The loop of the zygote: it listens, forks, reaps, and ends when there is nothing to live for.

It never reads more than one byte of a client, so nothing of what runs are given stays in it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opslib.kernels import environ, fingerprint, place, wire

_LOOK_MS = 1000
_BREATH_S = 0.01
_OWNER = 0  # standard input, when there is an owner


@dataclass(frozen=True)
class Kernel:
    """One fork that lives.

    Args:
        pid: its process, which leads a group of its own.
        handle: descriptor that tells its end.
        connection: to whoever asked for it.
        since: when it was forked, in seconds of the epoch.
    """

    pid: int
    handle: int
    connection: socket.socket
    since: float


class Zygote:
    """Listens, forks, reaps.

    Args:
        listener: socket that listens at `path`.
        path: where clients look for it.
        lock: descriptor of the lock that nobody else listens there.
        stamps: what was loaded, as `fingerprint.taken` tells.
        idle_s: seconds without a kernel, and without anybody who wants one, after which it ends.
        owned: it ends with its standard input.
    """

    def __init__(
        self,
        listener: socket.socket,
        path: Path,
        lock: int,
        stamps: Mapping[str, fingerprint.Stamp],
        *,
        idle_s: float,
        owned: bool,
    ) -> None:
        self._listener, self._path, self._lock = listener, path, lock
        self._stamps = stamps
        self._idle_s = idle_s
        self._listening = True
        self._waiting: dict[int, socket.socket] = {}
        self._kernels: dict[int, Kernel] = {}
        self._ends: dict[int, Kernel] = {}
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        if owned:
            self._poll.register(_OWNER, select.POLLIN)
        self._own = path.stat().st_ino
        self._begun = self._used = time.monotonic()
        self._forks = 0
        self._greeting = {"pid": os.getpid(), "fixed": environ.fixed(os.environ, str(Path.cwd()))}

    def serve(self) -> socket.socket | None:
        """Serve until there is nothing to live for.

        Returns:
            In a fork, the connection to whoever asked for it; in the zygote, at its end, None.
        """
        while self._listening or self._kernels:
            # One at a time: what is done for one may give the number of another's descriptor to a third.
            for descriptor, _ in self._poll.poll(_LOOK_MS)[:1]:
                forked = self._handle(descriptor)
                if forked is not None:
                    return forked
            self._look_around()
        return None

    def _handle(self, descriptor: int) -> socket.socket | None:
        if descriptor in self._ends:
            self._reap(self._ends[descriptor])
        elif descriptor in self._kernels:
            self._abandoned(self._kernels[descriptor])
        elif descriptor in self._waiting:
            return self._asked(self._waiting[descriptor])
        elif self._listening and descriptor == self._listener.fileno():
            self._accept()
        elif descriptor == _OWNER and not os.read(_OWNER, 1):
            self._poll.unregister(_OWNER)
            self._withdraw()
        return None

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # out of descriptors, or the client is gone again
            time.sleep(_BREATH_S)
            return
        if not place.neighbour(connection):
            connection.close()
            return
        self._waiting[connection.fileno()] = connection
        self._poll.register(connection, select.POLLIN)
        self._tell(connection, self._greeting)

    def _asked(self, connection: socket.socket) -> socket.socket | None:
        """Do what one byte asks for; returns the connection in a fork."""
        self._poll.unregister(connection)
        del self._waiting[connection.fileno()]
        command = b""
        with suppress(OSError):
            command = connection.recv(1, socket.MSG_DONTWAIT)
        if command != wire.STATUS:
            # Also who only had it warmed, and sent nothing, is to find it here soon after.
            self._used = time.monotonic()
        if command == wire.FORK:
            return self._fork(connection)
        if command in (wire.STOP, wire.END):
            self._stop(at_once=command == wire.END)
        if command in (wire.STATUS, wire.STOP, wire.END):
            self._tell(connection, self._status())
        connection.close()
        return None

    def _fork(self, connection: socket.socket) -> socket.socket | None:
        stale = fingerprint.changed(self._stamps)
        if stale:
            self._withdraw()
        if stale or not self._listening:
            self._tell(connection, {"stale": stale})
            connection.close()
            return None
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(connection, {"refused": f"no fork: {error.strerror}"})
            connection.close()
            return None
        if pid == 0:
            self._forget()
            return connection
        self._adopt(Kernel(pid, os.pidfd_open(pid), connection, time.time()))
        return None

    def _adopt(self, kernel: Kernel) -> None:
        self._forks += 1
        self._kernels[kernel.connection.fileno()] = self._ends[kernel.handle] = kernel
        self._poll.register(kernel.handle, select.POLLIN)
        # Not POLLIN: what the client sends is for the kernel.
        self._poll.register(kernel.connection, select.POLLRDHUP)

    def _forget(self) -> None:
        """In a fork, let go of all objects that would close a descriptor; the fork closes those itself."""
        for other in (self._listener, *self._waiting.values()):
            other.detach()
        for kernel in self._kernels.values():
            kernel.connection.detach()

    def _abandoned(self, kernel: Kernel) -> None:
        self._poll.unregister(kernel.connection)
        _kill(kernel.pid)

    def _reap(self, kernel: Kernel) -> None:
        # Its group goes first: as long as its leader is not reaped, no other can have that number.
        _kill(kernel.pid)
        _, status = os.waitpid(kernel.pid, 0)
        self._poll.unregister(kernel.handle)
        os.close(kernel.handle)
        with suppress(KeyError):
            self._poll.unregister(kernel.connection)
        del self._kernels[kernel.connection.fileno()], self._ends[kernel.handle]
        self._tell(kernel.connection, {"exit": os.waitstatus_to_exitcode(status)})
        kernel.connection.close()
        self._used = time.monotonic()

    def _tell(self, connection: socket.socket, message: wire.Message) -> None:
        with suppress(OSError):  # who does not listen any more is not told
            connection.send(wire.line(message), socket.MSG_DONTWAIT)

    def _stop(self, *, at_once: bool) -> None:
        self._withdraw()
        if at_once:
            for kernel in self._kernels.values():
                _kill(kernel.pid)

    def _look_around(self) -> None:
        idle = not self._kernels and time.monotonic() - self._used > self._idle_s
        if self._listening and (idle or fingerprint.inode(self._path) != self._own):
            self._withdraw()

    def _withdraw(self) -> None:
        """Listen no longer; another may take the place while the last kernels here go on."""
        if not self._listening:
            return
        self._listening = False
        if fingerprint.inode(self._path) == self._own:
            self._path.unlink(missing_ok=True)
        self._poll.unregister(self._listener)
        self._listener.close()
        os.close(self._lock)

    def _status(self) -> dict[str, Any]:
        kernels = [{"pid": kernel.pid, "since": kernel.since} for kernel in self._ends.values()]
        return {
            **self._greeting,
            "listening": self._listening,
            "kernels": kernels,
            "forks": self._forks,
            "seconds": round(time.monotonic() - self._begun, 1),
            "idle_s": self._idle_s,
            "unused_s": round(time.monotonic() - self._used, 3),
            "files": len(self._stamps),
            "fingerprint": fingerprint.digest(self._stamps),
            "memory": _memory(),
        }


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    # Too young for a group of its own.
    with suppress(ProcessLookupError):
        os.kill(group, signal.SIGKILL)


def _memory() -> dict[str, int]:
    """Return resident and proportional size of this process, in bytes."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}
    return {"rss": sizes["Rss"], "pss": sizes["Pss"]}
