"""The process that imports once and forks a kernel whenever it is asked: `python -m opslib.kernels.zygote`.

    python -m opslib.kernels.zygote --socket S --lock L --ready FD [--idle SECONDS] [--owned]

It has one thread, and no descriptor but its listener, its lock and one connection a kernel. It ends when
it has been idle for long, when its owner has let go of its standard input, when what it has loaded has
changed on the disk, or when its socket is gone; kernels that still run then are waited for.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path

from opslib.kernels import fingerprint, forked, preload, wire
from opslib.kernels.server import Zygote

IDLE_S = 900.0
_QUEUE = 128
_UNFIT = 70

log = logging.getLogger("opslib.kernels")


def _locked(path: Path) -> int:
    """Return the descriptor of a lock that is ours as long as it is open.

    Raises:
        BlockingIOError: another zygote listens.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _listening(path: Path) -> socket.socket:
    """Return a socket that listens at a path, there from the first moment at which it can be met."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        listener.bind(str(made))
    finally:
        os.umask(before)
    listener.listen(_QUEUE)
    listener.setblocking(False)
    made.rename(path)
    return listener


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="opslib.kernels.zygote", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--ready", type=int, required=True, help="Descriptor that is told when it listens.")
    parser.add_argument("--idle", type=float, default=IDLE_S)
    parser.add_argument("--owned", action="store_true")
    return parser.parse_args()


def _born(given: argparse.Namespace) -> Zygote:
    """Import everything and begin to listen.

    Raises:
        BlockingIOError: another zygote does.
        Unfit: this process must not fork.
    """
    since = time.time_ns()
    lock = _locked(given.lock)
    preload.everything()
    zygote = Zygote(
        _listening(given.socket),
        given.socket,
        lock,
        fingerprint.taken(since),
        idle_s=given.idle,
        owned=given.owned,
    )
    os.write(given.ready, json.dumps({"pid": os.getpid()}).encode())
    os.close(given.ready)
    return zygote


def main() -> int:
    """Be the zygote, and in a fork, the kernel; return the exit code."""
    given = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if not sys.flags.safe_path:
        # The folder that `-m` puts first; forks put their own there.
        del sys.path[0]
    try:
        zygote = _born(given)
    except BlockingIOError:
        log.warning("another one listens already")
        return wire.TAKEN
    except preload.Unfit as error:
        log.warning("%s", error)
        return _UNFIT
    parent = os.getpid()
    connection = zygote.serve()
    if connection is not None:
        forked.become(connection, parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
