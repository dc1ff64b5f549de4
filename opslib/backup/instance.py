"""An instance of the app against a restored database: started for a drill, and ended whatever happens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from opslib.backup import keeper
from opslib.errors import Unreachable

HOST, PORT, KIND = "127.0.0.1", "PORT", "app"
_END_S, _EVERY_S = 5, 0.05
# No credentials: what is drilled must reach nobody outside. Our home has files with some, so it has another.
_GIVEN = ("PATH", "LANG", "TMPDIR")
_MOST = 300


@dataclass(frozen=True)
class Start:
    """How an instance is started.

    Args:
        command: without a shell; it listens on the port of 127.0.0.1 that `PORT` names.
        variable: by which it learns the database's address.
        seconds: until it must listen.
        more: variables that it needs besides.
    """

    command: tuple[str, ...]
    variable: str
    seconds: float
    more: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running(start: Start, dsn: str) -> Iterator[str]:
    """Yield the address of an instance that listens; afterwards nothing of it is left.

    Args:
        start: how.
        dsn: the database's address.

    Raises:
        Unreachable: it ended, or did not listen in time, of `KIND`; the message has its last line.
    """
    port = _free_port()
    given = {name: os.environ[name] for name in _GIVEN if name in os.environ}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        own = {**given, "HOME": folder, **start.more, PORT: str(port), start.variable: dsn}
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, str(_END_S), *start.command], cwd=folder, env=own,
            stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            _wait(process, port, start, said)
            yield f"http://{HOST}:{port}"
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait(2 * _END_S)


def _wait(process: subprocess.Popen[bytes], port: int, start: Start, said: IO[bytes]) -> None:
    deadline = time.monotonic() + start.seconds
    while not _listens(port):
        if process.poll() is not None:
            raise Unreachable(f"the app ended at once: {_last(said)}", kind=KIND)
        if time.monotonic() > deadline:
            raise Unreachable(f"the app did not listen within {start.seconds:g} s: {_last(said)}", kind=KIND)
        time.sleep(_EVERY_S)


def _last(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return (lines[-1] if lines else "it said nothing")[:_MOST]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
