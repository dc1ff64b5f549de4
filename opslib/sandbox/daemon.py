"""The one process that holds the whole sandbox: databases, web, names and the control endpoint.

    python -m opslib.sandbox.daemon [--systems a,b] [--scale 1] [--owned]

With `--owned` its standard input is a pipe whose other end the owner holds: the sandbox ends when
the owner is gone and nobody else holds a lease.
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

from opslib import config, ids
from opslib.errors import OpsError
from opslib.sandbox import copies, data, migrations, nightly, state
from opslib.sandbox.databases import Databases, Progress
from opslib.sandbox.scenario import World
from opslib.sandbox.server import Control
from opslib.sandbox.stage import Stage
from opslib.sandbox.web import Web

PROGRESS_MARK = "· "
# Nobody rehearses for minutes: here a transaction is forgotten and a lock is stuck after seconds, and an
# index unused at once.
LIMITS = {
    "idle_in_transaction_minutes": {"warning": 0.5 / 60, "critical": 2 / 60},
    "long_query_seconds": {"warning": 1, "critical": 2},
    "lock_wait_seconds": {"warning": 0.5, "critical": 1},
    "unused_index_days": {"warning": 0},
}
# A scenario may hold every connection slot of every system; macOS allows 256 files at first.
_OPEN_FILES = 8192


class _Addresses:
    """What the web may know of the databases: also where those are that were not made yet."""

    def __init__(self, databases: Databases) -> None:
        self.systems = tuple(name for name in config.list_systems() if name in data.systems())
        self.dsn = databases.dsn


class Sandbox:
    """Everything that is up, with the commands of the control endpoint.

    Args:
        systems: which databases to make; all when None.
        scale: multiplies the number of rows.
        progress: told what happens.

    Raises:
        OpsError: something did not start; what had started is gone again.
    """

    def __init__(self, systems: Sequence[str] | None, scale: float, progress: Progress) -> None:
        self._started_at = ids.stamp(ids.now())
        self._token = secrets.token_urlsafe(24)
        with ExitStack() as undo:
            self._databases = Databases(systems, scale=scale, state=state.path(), progress=progress)
            undo.callback(self._databases.close)
            migrations.remove()
            undo.callback(migrations.remove)
            self._web = Web(_Addresses(self._databases), self._databases.restart)
            undo.callback(self._web.stop)
            self._web.start()
            copies.make(self._databases.base, self._web)
            progress("apps, vendors and names answer")
            self._undo = undo.pop_all()
        self._stage = Stage(World(self._databases, self._web), self.announce)
        self.control = Control(self._commands(), self._token)

    def close(self) -> None:
        """Take everything down; the state file goes last."""
        self._undo.close()
        state.remove()

    def announce(self) -> None:
        """Write the state file."""
        made, web = self._databases.systems, self._web
        for system in made:
            migrations.write(self._databases, system)
        roles = ("admin", "app", "monitor")
        state.write(
            {
                "pid": os.getpid(),
                "control": self.control.address,
                "token": self._token,
                "started_at": self._started_at,
                "base": str(self._databases.base),
                "backups": str(nightly.place(self._databases)),
                "copies": str(copies.place(self._databases.base)),
                "targets": {s: nightly.targets(self._databases, s) for s in made},
                "broken": [{"id": name, "system": system} for name, system in self._stage.broken],
                "databases": {s: {role: self._databases.dsn(s, role) for role in roles} for s in made},
                "operators": {s: self._databases.dsn(s, "operator") for s in made},
                "apps": {s: web.apps[s] for s in made if s in web.apps},
                "names": {s: web.names[s] for s in made if s in web.names},
                "vendors": web.vendors,
                "status_pages": web.status_pages,
                "vendor_settings": web.vendor_settings,
                "resolver": web.resolver,
                "limits": LIMITS,
            }
        )

    def _commands(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        def status(words: dict[str, Any]) -> dict[str, Any]:
            return {"pid": os.getpid(), "leases": self.control.leases}

        def systems(words: dict[str, Any]) -> None:
            self._databases.add(words["systems"])
            self.announce()

        def down(words: dict[str, Any]) -> None:
            self.control.end()

        return {
            "status": status,
            "systems": systems,
            "down": down,
            "backups": lambda words: nightly.back_up(self._databases, self._web, words["system"]),
            "break": lambda words: self._stage.break_(words["id"], words.get("system")),
            "heal": lambda words: self._stage.heal(words.get("id"), words.get("system")),
        }


def run(
    systems: Sequence[str] | None = None, *, scale: float = 1.0, owned: bool = False,
    progress: Progress, ready: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Hold the sandbox in this process, which must be in its main thread, until told to end.

    Args:
        systems: which databases to make; all when None.
        scale: multiplies the number of rows.
        owned: end when standard input does and nobody holds a lease.
        progress: told what happens.
        ready: called once the state file is there.

    Raises:
        OpsError: something did not start.
    """
    _allow_many_files()
    _on_signals(_leave)
    sandbox = Sandbox(systems, scale, progress)
    try:
        if owned:
            threading.Thread(
                target=_wait_for_owner, args=(sandbox.control.owner_is_gone,), daemon=True
            ).start()
        sandbox.announce()
        # Raising out of the event loop would leave its threads waiting for ever.
        _on_signals(lambda number, frame: sandbox.control.end())
        ready()
        sandbox.control.serve()
    finally:
        _on_signals(signal.SIG_IGN)
        sandbox.close()


def main(words: Sequence[str] | None = None) -> int:
    """Run in the background; standard output is the log, which the starter reads."""
    parser = argparse.ArgumentParser(prog="python -m opslib.sandbox.daemon")
    parser.add_argument("--systems", type=lambda text: text.split(","))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--owned", action="store_true")
    given = parser.parse_args(words)
    try:
        run(given.systems, scale=given.scale, owned=given.owned, progress=_say)
    except OpsError as error:
        _say(error.text())
        return error.exit_code
    return 0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{PROGRESS_MARK}{sentence}\n")
    sys.stdout.flush()


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for wanted in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(wanted, handler)


def _wait_for_owner(gone: Callable[[], None]) -> None:
    sys.stdin.buffer.read()
    gone()


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
