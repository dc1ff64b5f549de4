"""What a fork of the zygote does to become a kernel that a plain start could not tell from its own.

Whatever cannot be made so is refused before a socket is bound, and the client starts a plain kernel.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import all_suffixes
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, cast

from opslib.kernels import preload, wire

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_CONNECTION = 3
_DESCRIPTORS = 1 << 20
_MAIN = "opslib.__main__"
_BROKE = 3  # unknown: what would be 1 to Python is a verdict here
_INLINE = "module://matplotlib_inline.backend_inline"
# No thread that watches the parent: that is the zygote, and its end ends us at once.
_NO_POLLER = "--IPKernelApp.parent_handle=1"
_STREAMS = "--IPKernelApp.outstream_class="
_OUR_STREAMS = f"{_STREAMS}opslib.kernels.stream.Stream"


_forgotten: list[ModuleType] = []


class Refused(Exception):
    """This fork would not be what was asked for."""


def become(connection: socket.socket, parent: int) -> None:
    """Be a kernel; returns when it has ended.

    Args:
        connection: to whoever asked for it.
        parent: process of the zygote.
    """
    connection = _alone(connection, parent)
    try:
        connection.sendall(wire.line({"pid": os.getpid()}))
        request, streams = wire.receive_request(connection)
    except OSError:
        return
    try:
        _stand(request, streams)
        if request["errand"]:
            _command(request, connection)
        app = _kernel(request)
    except (Refused, OSError, ValueError) as error:
        connection.sendall(wire.line({"refused": f"{type(error).__name__}: {error}"}))
        # Nothing of what is undone at an ordinary exit was done.
        os._exit(0)
    with suppress(OSError):
        connection.sendall(wire.line({"ready": True}))
    connection.close()
    app.start()


def _alone(connection: socket.socket, parent: int) -> socket.socket:
    """Leave everything that belongs to the zygote, and end when it ends."""
    os.setsid()
    os.dup2(connection.detach(), _CONNECTION, inheritable=False)
    os.closerange(_CONNECTION + 1, _DESCRIPTORS)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NAME, b"opslib-kernel")
    if os.getppid() != parent:
        os._exit(1)
    return socket.socket(fileno=_CONNECTION)


def _stand(request: wire.Message, streams: tuple[int, int]) -> None:
    """Take place and means of whoever asked: streams, limits, directory, environment, signals, chance."""
    empty = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((empty, *streams)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    _limit(request)
    _signals(request["ignored"])
    os.environ.clear()
    os.environ.update({**preload.added, **request["env"]})
    os.chdir(request["cwd"])
    sys.executable = request["executable"]
    _unshadowed()
    _refresh()


def _limit(request: wire.Message) -> None:
    for name, limits in request["limits"].items():
        number, wanted = getattr(resource, name), tuple(limits)
        if resource.getrlimit(number) != wanted:
            resource.setrlimit(number, wanted)
    os.umask(request["umask"])
    if os.sched_getaffinity(0) != set(request["cores"]):
        os.sched_setaffinity(0, request["cores"])
    if os.getpriority(os.PRIO_PROCESS, 0) != request["nice"]:
        os.setpriority(os.PRIO_PROCESS, 0, request["nice"])


def _signals(ignored: list[int]) -> None:
    """Have the handling of a fresh interpreter; what the caller ignores stays ignored, as for any child."""
    own = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - own:
        with suppress(OSError, ValueError):  # some are the C library's own
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    if signal.SIGINT not in ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _unshadowed() -> None:
    """Refuse where the working directory has a module of its own that an import would have found first.

    Raises:
        Refused: what is loaded already is another one.
    """
    for mine in _importable():
        name = (mine.parent.name or mine.name).partition(".")[0]
        if name not in sys.modules or name == "__main__":
            continue
        theirs = getattr(sys.modules[name], "__file__", None)
        if not theirs or not mine.samefile(theirs):
            raise Refused(f"the working directory has {mine}, and another {name} is loaded")
    if Path("matplotlibrc").exists():
        raise Refused("the working directory has a matplotlibrc")


def _importable() -> Iterator[Path]:
    """Yield the files of the working directory that an import would find."""
    endings = tuple(all_suffixes())
    for found in os.scandir():
        if found.is_dir():
            first = (Path(found.name) / f"__init__{ending}" for ending in endings)
            yield from (path for path in first if path.exists())
        elif found.name.endswith(endings):
            yield Path(found.name)


def _refresh() -> None:
    """Have own chance and own caches, and what is read from the environment at import.

    `random` sees to itself in every fork; numpy does not.
    """
    time.tzset()
    locale.setlocale(locale.LC_CTYPE, "")
    tempfile.tempdir = None
    for name, renew in {"numpy": _numpy, "matplotlib": _matplotlib, "multiprocessing": _processes}.items():
        if name in sys.modules:
            renew(sys.modules[name])


def _numpy(module: Any) -> None:
    module.random.seed()


def _matplotlib(module: Any) -> None:
    if preload.NEVER in sys.modules:
        raise Refused(f"{preload.NEVER} was imported too early")
    module.rcParams["backend"] = os.environ.get("MPLBACKEND") or _INLINE


def _processes(module: Any) -> None:
    module.current_process().authkey = os.urandom(32)


def _command(request: wire.Message, connection: socket.socket) -> NoReturn:
    """Do a command of opslib as its own process would, and end with its exit code."""
    libc = ctypes.CDLL(None)
    # A command goes on where the zygote is killed: it can do without.
    libc.prctl(_PR_SET_PDEATHSIG, 0)
    libc.prctl(_PR_SET_NAME, b"opslib")
    sys.argv = [request["command"][0], *request["argv"]]
    sys.orig_argv = [*request["command"]]
    logging.getLogger().handlers.clear()
    cast(io.TextIOWrapper, sys.stdout).reconfigure(line_buffering=os.isatty(1))
    connection.sendall(wire.line({"ready": True}))
    code = _ended(request["argv"])
    with suppress(OSError):
        # The zygote would tell it too, unless it was killed meanwhile.
        connection.sendall(wire.line({"exit": code}))
    os._exit(code)


def _ended(words: list[str]) -> int:
    code = _BROKE
    try:
        importlib.import_module(_MAIN).main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else _BROKE
    except BaseException:  # noqa: BLE001 - nothing is above us that could tell
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    return code


def _forget() -> None:
    """Let a notebook import anew what is here for commands, and lacks what they do not need."""
    # Kept, because to take them apart would copy every page of memory on which a part of them is.
    _forgotten.extend(filter(None, [sys.modules.pop(name, None) for name in preload.for_commands]))


@contextmanager
def _modules_listed() -> Iterator[None]:
    """Have ipykernel list the modules that are loaded, for its debugger, from the zygote's own list.

    To look at each module is to copy the page of memory on which it is: of 3,000, half would else be shared.
    """
    from ipykernel import ipkernel

    ipkernel.sys = preload.Listed()
    try:
        yield
    finally:
        ipkernel.sys = sys


def _kernel(request: wire.Message) -> Any:
    """Return ipykernel's application with its sockets bound."""
    _forget()
    from ipykernel.kernelapp import IPKernelApp

    words = request["argv"]
    sys.argv = [
        str(Path(sys.modules["ipykernel"].__file__ or "").parents[1] / "ipykernel_launcher.py"),
        *words,
    ]
    sys.orig_argv = [*request["command"]]
    logging.getLogger().handlers.clear()
    streams = [] if any(word.startswith(_STREAMS) for word in words) else [_OUR_STREAMS]
    app = IPKernelApp.instance()
    with _modules_listed():
        app.initialize([*words, *streams, _NO_POLLER])
    session = app.session
    if session.username == type(session).username.default_value:
        session.username = os.environ.get("USER", "username")
    return app
