"""Find the zygote of this user and interpreter, or start it; ask it how it is; stop it."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from opslib.kernels import environ, wire
from opslib.kernels.place import Place, here, neighbour

PLAIN = "plain"  # value of OPSLIB_KERNELS with which nothing is forked
START_S = 20.0
_ANSWER_S = 5.0
_PAUSE_S = 0.01
_AGAIN_S = 0.5
_DISTRUST_S = 60.0
# Until when, and why, this process does without.
_distrusted: dict[str, float] = {}
_owner: list[bool] = []
# Children that must be reaped when they end.
_started: list[subprocess.Popen[bytes]] = []


class Cold(Exception):
    """There is no zygote, and this is why."""


class Connection:
    """A connection to a zygote that has said who it is.

    Args:
        place: where it listens.

    Raises:
        OSError: nobody is there.
        Cold: whoever is there does not answer, or is not to be trusted.
    """

    def __init__(self, place: Place) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.lines = wire.Lines(self.socket)
        try:
            self.socket.settimeout(_ANSWER_S)
            self.socket.connect(str(place.socket))
            self.greeting = self._greeted()
        except BaseException:
            self.socket.close()
            raise

    def _greeted(self) -> wire.Message:
        pid = neighbour(self.socket)
        if not pid:
            raise Cold("who listens there is another user, or in another container")
        try:
            greeting = self.lines.next()
        except TimeoutError as error:
            reason = f"process {pid} does not answer"
            distrust(reason)
            raise Cold(reason) from error
        if greeting["pid"] != pid:
            raise Cold(f"process {pid} is not our zygote")
        return greeting

    def ask(self, command: bytes) -> wire.Message:
        """Send a command and return the answer.

        Raises:
            OSError: it is gone.
        """
        self.socket.sendall(command)
        return self.lines.next()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


def usable() -> str:
    """Return why kernels cannot be forked here at all; "" when they can."""
    if os.environ.get("OPSLIB_KERNELS") == PLAIN:
        return f"OPSLIB_KERNELS is {PLAIN}"
    # On macOS a fork after the system's frameworks were used is not safe; Windows has none.
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return "kernels are forked on Linux only"
    try:
        os.close(os.pidfd_open(os.getpid()))
        here()
    except OSError as error:
        return f"this machine does not let us: {error}"
    return ""


def socket_path() -> Path:
    """Return where the zygote of this user and interpreter listens."""
    return here().socket


def status() -> dict[str, Any]:
    """Return how the zygote is.

    Returns:
        `running`; `usable`, why not or ""; `socket`; when it runs also pid, kernels (pid, since), forks,
        seconds (since its start), idle_s, unused_s (since somebody wanted it), files, fingerprint, memory
        (rss and pss in bytes).
    """
    return _asked(wire.STATUS)


def stop(*, now: bool = False) -> dict[str, Any]:
    """Have the zygote listen no longer and end with its last kernel; return its `status`.

    Args:
        now: its kernels are killed, and it ends at once.
    """
    return _asked(wire.END if now else wire.STOP)


def _asked(command: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"running": False, "usable": usable(), "socket": ""}
    with suppress(OSError):
        place = here()
        found["socket"] = str(place.socket)
        try:
            with closing(Connection(place)) as connection:
                return {**found, "running": True, **connection.ask(command)}
        except Cold as error:
            found["usable"] = str(error)
    return found


@contextmanager
def owned() -> Iterator[None]:
    """Have a zygote while the block runs; one that this process has to start ends with this process.

    Raises:
        Cold: there can be none.
    """
    _owner.append(True)
    try:
        warm()
        yield
    finally:
        _owner.pop()
        for process in _started:
            if process.stdin:
                process.stdin.close()


def warm() -> wire.Message:
    """Start the zygote unless it runs, and return what it says of itself.

    Raises:
        Cold: it did not start.
    """
    if reason := usable():
        raise Cold(reason)
    with closing(connected(time.monotonic() + START_S)) as connection:
        return connection.greeting


def connected(until: float, unwanted: Callable[[], bool] = lambda: False) -> Connection:
    """Return a connection to the zygote, starting it if there is none.

    Args:
        until: the end of patience, as `time.monotonic` tells.
        unwanted: asked again and again whether it is not needed any more.

    Raises:
        Cold: it did not start in time, or it is not to be trusted.
    """
    _trusted()
    place = here()
    with suppress(OSError):
        return Connection(place)
    with ExitStack() as held:
        held.enter_context(_turn(place, until, unwanted))
        with suppress(OSError):
            return Connection(place)
        while not _start(place, until, unwanted):
            if found := _met(place, min(until, time.monotonic() + _AGAIN_S)):
                return found
            if time.monotonic() > until or unwanted():
                raise Cold("another zygote begins or ends, and takes long")
    try:
        return Connection(place)
    except OSError as error:
        raise Cold(f"the zygote was there and is gone: {error}") from error


def distrust(reason: str) -> None:
    """Do without a zygote in this process for a minute: something ends it, or it does not start."""
    _distrusted[reason] = time.monotonic() + _DISTRUST_S


def _trusted() -> None:
    for reason, until in _distrusted.items():
        if time.monotonic() < until:
            raise Cold(reason)


@contextmanager
def _turn(place: Place, until: float, unwanted: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock under which zygotes are started, so that two do not race."""
    from filelock import FileLock, Timeout

    lock = FileLock(place.starting)
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=0)
            break
        if time.monotonic() > until or unwanted():
            raise Cold("another process is starting the zygote, and takes long")
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        lock.release()


def _met(place: Place, until: float) -> Connection | None:
    """Return a connection as soon as somebody listens; None if nobody does by then."""
    while time.monotonic() < until:
        with suppress(OSError):
            return Connection(place)
        time.sleep(_PAUSE_S)
    return None


def _start(place: Place, until: float, unwanted: Callable[[], bool]) -> bool:
    """Start a zygote and wait until it listens.

    Returns:
        Whether it does; not where there is one that nobody can meet, as it is beginning or ending.

    Raises:
        Cold: it did not, or it was not needed any more.
    """
    reading, writing = os.pipe()
    words = [sys.executable, "-m", "opslib.kernels.zygote", "--socket", str(place.socket)]
    words += ["--lock", str(place.listening), "--ready", str(writing)]
    words += ["--owned"] if _owner else []
    if idle := os.environ.get("OPSLIB_KERNELS_IDLE_S"):
        words += ["--idle", idle]
    with os.fdopen(reading, "rb", buffering=0) as ready:
        try:
            with place.log.open("wb") as log:
                process = subprocess.Popen(
                    words, stdin=subprocess.PIPE if _owner else subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT, cwd="/", env=environ.for_zygote(os.environ),
                    start_new_session=True, pass_fds=(writing,),
                )  # fmt: skip
        finally:
            os.close(writing)
        _started[:] = [child for child in _started if child.poll() is None] + [process]
        while not select.select([ready], [], [], _PAUSE_S)[0]:
            if time.monotonic() > until or unwanted():
                raise Cold("the zygote takes long to start")
        if ready.read(1):
            return True
    if process.wait() == wire.TAKEN:
        return False
    raise Cold(f"the zygote did not start: {_last_line(place.log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def ended(pid: int, seconds: float) -> bool:
    """Kill a process and its group, and say whether it is gone within so many seconds."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    until = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > until:
            return False
        time.sleep(_PAUSE_S)
    return True
