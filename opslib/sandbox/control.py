"""What everybody else needs of the sandbox: start it, use it, break it, heal it, end it.

Light to import: the sandbox itself lives in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.errors import SandboxError
from opslib.home import private
from opslib.sandbox import client, state

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from opslib.sandbox.scenario import Scenario

START_S = 120.0
END_S = 60.0
_REAPED_S = 3.0
_PAUSE_S = 0.02
_LOG_LINES = 15
_MARK = "· "

Progress = Callable[[str], None]
# Children that must be reaped when they end.
_STARTED: list[subprocess.Popen[bytes]] = []


def _silent(sentence: str) -> None:
    return


def status() -> dict[str, Any]:
    """Return what is up.

    Returns:
        up, pid, broken (scenario ids), databases (system -> role -> address), apps (system -> URL),
        vendors (vendor -> URL); everything empty when nothing is up.
    """
    document = client.alive()
    if document is None:
        return {"up": False, "pid": None, "broken": [], "databases": {}, "apps": {}, "vendors": {}}
    broken = list(dict.fromkeys(entry["id"] for entry in document["broken"]))
    shown = {key: document[key] for key in ("databases", "apps", "vendors")}
    return {"up": True, "pid": document["pid"], "broken": broken, **shown}


def up(
    systems: Sequence[str] | None = None, scale: float = 1.0, foreground: bool = False,
    progress: Progress = _silent,
) -> dict[str, Any]:  # fmt: skip
    """Start the sandbox and wait until it is ready; use the one that is up, adding systems it lacks.

    Args:
        systems: which databases to make; all when None.
        scale: multiplies the number of rows.
        foreground: hold it in this process until it is told to end.
        progress: told what happens.

    Returns:
        The same as `status`.

    Raises:
        UnknownName: there is no such system.
        SandboxError: it did not start; the message ends with its log.
    """
    _check(systems)
    with ExitStack() as starting:
        starting.enter_context(_lock())
        document = client.alive()
        if document is not None:
            _add(document, systems)
        elif foreground:
            _clear_stale()
            from opslib.sandbox import daemon

            daemon.run(systems, scale=scale, progress=progress, ready=starting.close)
        else:
            _clear_stale()
            _start(systems, scale, owned=False, progress=progress)
    return status()


def down() -> bool:
    """End the sandbox and wait until nothing of it is left.

    Returns:
        Whether one was up.

    Raises:
        SandboxError: it does not end.
    """
    with _lock():
        document = client.alive()
        if document is None:
            _clear_stale()
            return False
        client.call(document, "down")
        _wait(lambda: not _mine(document), END_S, "The sandbox does not end")
        with suppress(SandboxError):
            # A process that nobody reaps stays in the table for ever, so this is not waited for at any price.
            _wait(lambda: not _exists(document["pid"]), _REAPED_S, "")
        return True


def break_(id: str, system: str | None = None) -> tuple[tuple[str, str], ...]:
    """Switch a scenario on.

    Args:
        id: the scenario's id.
        system: where; everywhere it can be, when not given.

    Returns:
        (scenario id, system) for what this call switched on; empty if it was on already.

    Raises:
        UnknownName: no such scenario or system.
        SandboxError: no sandbox is up, or the scenario could not be made and was undone.
    """
    return _pairs(client.call(_running(), "break", id=id, system=system))


def heal(id: str | None = None, system: str | None = None) -> tuple[tuple[str, str], ...]:
    """Switch one scenario off, or all, the newest first.

    Args:
        id: the scenario's id; all when not given.
        system: one system; all when not given.

    Returns:
        (scenario id, system) for what this call switched off; empty if nothing was on.

    Raises:
        UnknownName: no such scenario or system.
        SandboxError: no sandbox is up, or something could not be restored.
    """
    return _pairs(client.call(_running(), "heal", id=id, system=system))


@contextmanager
def ensure(*systems: str, scale: float = 1.0, progress: Progress = _silent) -> Iterator[None]:
    """Have systems rehearsed while the block lasts.

    Uses the sandbox that is up; else starts one, which ends with this process, however that ends,
    unless another process has come to use it meanwhile.

    Args:
        systems: the ones that are needed.
        scale: multiplies the number of rows, if a sandbox is started.
        progress: told what happens.

    Raises:
        UnknownName: there is no such system.
        SandboxError: it did not start; the message ends with its log.
    """
    _check(systems)
    with ExitStack() as held:
        with _lock():
            document = client.alive()
            if document is None:
                _clear_stale()
                owned = _start(systems, scale, owned=True, progress=progress)
                held.callback(_let_go, owned)
                document = _running()
            held.enter_context(client.lease(document))
            _add(document, systems)
        yield


def scenarios() -> tuple[Scenario, ...]:
    """Return every scenario, by id."""
    from opslib.sandbox import stage

    return stage.catalogue()


def _running() -> dict[str, Any]:
    document = client.alive()
    if document is None:
        raise SandboxError("No sandbox is up", hint="start one with `opslib sandbox up`")
    return document


def _check(systems: Sequence[str] | None) -> None:
    from opslib.sandbox import data
    from opslib.sandbox.lookup import known

    for system in systems or ():
        known("system", system, data.systems())


def _add(document: dict[str, Any], systems: Sequence[str] | None) -> None:
    if systems is None:
        from opslib.sandbox import data

        systems = data.systems()
    missing = [system for system in systems if system not in document["databases"]]
    if missing:
        client.call(document, "systems", systems=missing)


def _start(
    systems: Sequence[str] | None, scale: float, *, owned: bool, progress: Progress
) -> subprocess.Popen[bytes]:
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
        _wait(ready, START_S, f"The sandbox was not ready after {START_S:.0f} s:\n{_tail(log)}")
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        raise


def _let_go(process: subprocess.Popen[bytes]) -> None:
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

    _wait(settled, END_S, "The sandbox does not end")


def _clear_stale() -> None:
    """Remove what a sandbox left that was killed together with its watchdog."""
    document = state.read()
    if document is not None:
        from opslib.sandbox import watchdog

        watchdog.clear(Path(str(document["base"])), quiet_rounds=1)
    state.remove()


def _exists(pid: int) -> bool:
    for process in _STARTED:
        process.poll()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _mine(document: dict[str, Any]) -> bool:
    """Whether the state file is still that of `document`."""
    now = state.read()
    return now is not None and now["token"] == document["token"]


def _lock() -> BaseFileLock:
    from filelock import FileLock

    return FileLock(private("sandbox") / "start.lock")


def _wait(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SandboxError(otherwise)
        time.sleep(_PAUSE_S)


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _tail(log: Path) -> str:
    return "\n".join(_lines(log)[-_LOG_LINES:])


def _pairs(answer: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, system) for name, system in answer)
