"""Have a command done by a fork of the zygote, which has imported already what the command needs.

The fork has our streams, environment, directory and limits; what a terminal or a service signals to us is
passed on, and its exit code is ours. It ends when we are killed, and goes on when the zygote is. Where
none listens, or a fork would differ in anything, the command is done here, with the same results.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from opslib.kernels import client
from opslib.kernels.client import Cold, Connection
from opslib.kernels.handle import Forked
from opslib.kernels.launch import Launch
from opslib.kernels.place import here

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALLED = 128


def done(words: Sequence[str]) -> int | None:
    """Have a command done elsewhere.

    Args:
        words: of the command line, without the program's name.

    Returns:
        Its exit code, 128 and the signal's number if one ended it; None when nothing was done and this
        process has to do it.
    """
    if client.usable() or _unlike():
        return None
    try:
        forked = _forked(words)
    except (Cold, OSError):
        return None
    if forked is None:
        return None
    with _passing_on(forked):
        code = forked.wait()
    return code if code >= 0 else _SIGNALLED - code


def _unlike() -> bool:
    """Say whether this interpreter was started in another way than a zygote is, or is being watched."""
    flags = sys.flags
    asked = flags.optimize or flags.ignore_environment or flags.inspect or flags.dev_mode
    return bool(asked or sys.warnoptions or sys._xoptions or sys.gettrace() or sys.getprofile())


def _forked(words: Sequence[str]) -> Forked | None:
    # None is started here: that takes longer than the command.
    connection = Connection(here())
    launch = Launch(sys.orig_argv, words, cwd=str(Path.cwd()), env=os.environ, streams=(1, 2), errand=True)
    return launch.forked(connection)


@contextmanager
def _passing_on(forked: Forked) -> Iterator[None]:
    """While the block lasts, send on the signals that would end us, save those that we are to ignore."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        forked.send_signal(number)

    before = {number: signal.getsignal(number) for number in _PASSED_ON}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
