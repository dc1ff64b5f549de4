"""What everybody else needs of the sandbox: start it, use it, break it, heal it, end it.

Light to import: the sandbox itself lives in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from opslib.errors import SandboxError
from opslib.home import private
from opslib.sandbox import client, launch

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from opslib.sandbox.scenario import Scenario

Progress = Callable[[str], None]


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
            launch.clear_stale()
            from opslib.sandbox import daemon

            daemon.run(systems, scale=scale, progress=progress, ready=starting.close)
        else:
            launch.clear_stale()
            launch.start(systems, scale, owned=False, progress=progress)
    return status()


def down() -> bool:
    """End the sandbox and wait until nothing of it is left.

    Returns:
        Whether one was up.

    Raises:
        SandboxError: it does not end.
    """
    with _lock():
        try:
            document = client.alive()
        except client.Busy:
            launch.kill()
            return True
        if document is None:
            launch.clear_stale()
            return False
        client.call(document, "down")
        launch.wait_for_end(document)
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


def backups(system: str) -> None:
    """Have the backups made that a rehearsed system has: of each night of the week.

    Raises:
        UnknownName: there is no such system.
        SandboxError: no sandbox is up, or they could not be made.
    """
    client.call(_running(), "backups", system=system)


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
                launch.clear_stale()
                owned = launch.start(systems, scale, owned=True, progress=progress)
                held.callback(launch.let_go, owned)
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


def _lock() -> BaseFileLock:
    from filelock import FileLock

    return FileLock(private("sandbox") / "start.lock")


def _pairs(answer: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, system) for name, system in answer)
