"""Starts the sandbox's process in the background and sees to it that it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from opslib.errors import SandboxError
from opslib.sandbox import client, state

START_S = 120.0
END_S = 60.0
_REAPED_S = 3.0
_PAUSE_S = 0.02
_LOG_LINES = 15
_MARK = "· "

Progress = Callable[[str], None]
# Children that must be reaped when they end.
_STARTED: list[subprocess.Popen[bytes]] = []


def start(
    systems: Sequence[str] | None, scale: float, *, owned: bool, progress: Progress
) -> subprocess.Popen[bytes]:
    """Start the process and wait until the sandbox is ready.

    Args:
        systems: which databases to make; all when None.
        scale: multiplies the number of rows.
        owned: it ends when the returned process's standard input is closed and nobody holds a lease.
        progress: told what happens.

    Raises:
        SandboxError: it did not start; the message ends with its log.
    """
    words = [sys.executable, "-P", "-m", "opslib.sandbox.daemon", "--scale", str(scale)]
    words += ["--systems", ",".join(systems)] if systems is not None else []
    words += ["--owned"] if owned else []
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    log = state.log_path()
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE if owned else subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    _STARTED.append(process)
    _await_ready(process, log, progress)
    return process


def _await_ready(process: subprocess.Popen[bytes], log: Path, progress: Progress) -> None:
    told = 0

    def ready() -> bool:
        nonlocal told
        said = [line[len(_MARK) :] for line in _lines(log) if line.startswith(_MARK)]
        for sentence in said[told:]:
            progress(sentence)
        told = len(said)
        if process.poll() is not None:
            raise SandboxError(f"The sandbox did not start:\n{_tail(log)}")
        document = state.read()
        return document is not None and document["pid"] == process.pid

    try:
        if not _within(START_S, ready):
            raise SandboxError(f"The sandbox was not ready after {START_S:.0f} s:\n{_tail(log)}")
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        raise


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Close the owner's pipe; wait for the end unless somebody else uses the sandbox."""
    if process.stdin is not None:
        process.stdin.close()

    def settled() -> bool:
        if process.poll() is not None:
            return True
        document = state.read()
        with suppress(client.Gone):
            return document is not None and client.call(document, "status")["leases"] > 0
        return False

    if not _within(END_S, settled):
        raise SandboxError(f"The sandbox (process {process.pid}) does not end")


def clear_stale() -> None:
    """Remove what a sandbox left that was killed together with its watchdog."""
    document = state.read()
    if document is not None and document.get("base"):
        from opslib.sandbox import watchdog

        watchdog.clear(Path(document["base"]), quiet_rounds=1)
    state.remove()


def kill() -> None:
    """End a sandbox that does not answer any more, and what it holds."""
    document = state.read()
    if document is not None:
        with suppress(ProcessLookupError):
            os.kill(document["pid"], signal.SIGKILL)
        wait_for_end(document)


def wait_for_end(document: dict[str, Any]) -> None:
    """Wait until nothing is left of the sandbox of a state file.

    Raises:
        SandboxError: it does not end.
    """
    if not _within(END_S, lambda: not _there(document)):
        raise SandboxError(f"The sandbox (process {document['pid']}) does not end")
    # A process that nobody reaps stays in the table for ever, so this is not waited for at any price.
    _within(_REAPED_S, lambda: not _exists(document["pid"]))


def _exists(pid: int) -> bool:
    for process in _STARTED:
        process.poll()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _there(document: dict[str, Any]) -> bool:
    """Whether the state file is still that of `document`."""
    now = state.read()
    return now is not None and now["token"] == document["token"]


def _within(seconds: float, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _tail(log: Path) -> str:
    return "\n".join(_lines(log)[-_LOG_LINES:])
