"""What the zygote imports, and the proof that it may fork afterwards.

Names as data: what a notebook reaches lies in every layer of the package, and nothing here calls it.
"""

from __future__ import annotations

import gc
import importlib
import io
import logging
import os
import pkgutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_KERNEL = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger",
    "ipykernel.iostream", "ipykernel.displayhook", "ipykernel.comm", "IPython.core.debugger",
    "IPython.core.completer", "IPython.core.completerlib", "IPython.core.history", "IPython.core.logger",
    "IPython.core.oinspect", "IPython.extensions.storemagic", "pdb", "comm", "zmq.eventloop.zmqstream",
    "zmq.asyncio", "tornado.platform.asyncio", "sqlite3", "psutil", "concurrent.futures.thread",
    "encodings.idna", "ctypes", "faulthandler", "opslib.kernels.stream",
)  # fmt: skip
_LIBRARIES = (
    "numpy", "pandas", "pandas.core.methods.to_dict", "matplotlib.pyplot", "matplotlib.backends.backend_agg",
    "httpx", "psycopg", "dns.resolver", "dns.rdtypes.IN.A", "dns.rdtypes.IN.AAAA", "dns.rdtypes.ANY.CNAME",
    "encodings.rot_13", "encodings.utf_16_be", "encodings.utf_16_le",
)  # fmt: skip
# Of commands; first the one that leaves out of the notebook stack what it does not need.
_COMMANDS = (
    "opslib.runner.client", "opslib.runner.execute", "opslib.runner.page", "opslib.kernels.provisioner",
    "opslib.cli.app", "opslib.cli.runs", "opslib.cli.verdicts", "opslib.sandbox.data", "opslib.evidence",
    "opslib.keys.machine", "filelock", "rich.console", "rich.table", "rich.text",
)  # fmt: skip
_OURS = ("opslib.run", "opslib.runner.apart", "opslib.runner.routine", "opslib.sandbox.control")
_PACKAGES = (
    "archive", "backup", "changes", "checks", "config", "dns", "gate", "http", "keys", "pg", "run", "show",
    "vendors",
)  # fmt: skip
# It looks for the shell as it is imported; without one, plots of all forks would be lost without a word.
NEVER = "matplotlib_inline.backend_inline"
_SETTLED_S = 5.0

# Packages that commands do with only a part of; a notebook may want all of them.
_PARTLY = {"jsonschema", "nbformat", "nbclient"}

# The modules of those packages.
for_commands: list[str] = []
# What imports have put into the environment; debugpy does, for what it imports later.
added: dict[str, str] = {}

# The module that was loaded last, and names and files of all that a notebook finds loaded.
_last: list[str] = []
_BETWEEN = "\0"

log = logging.getLogger("opslib.kernels")


class Listed:
    """`sys`, but that the files of its modules stand in one text: to read it touches nothing else."""

    def __init__(self) -> None:
        own = [getattr(sys.modules[name], "__file__", None) for name in _since()]
        files = [*_last[2].split(_BETWEEN), *filter(None, own)]
        self.modules = {number: SimpleNamespace(__file__=file) for number, file in enumerate(files)}

    def __getattr__(self, name: str) -> Any:
        """Return what is asked of `sys`."""
        return getattr(sys, name)


class Names:
    """The names of the modules that are loaded now, to be taken from a set of names; from one text, too."""

    def __init__(self) -> None:
        self._own = _since()

    def __rsub__(self, others: set[str]) -> set[str]:
        """Return those others that are loaded since."""
        return others.difference(self._own, _last[1].split(_BETWEEN))


class Unfit(Exception):
    """This process holds something that its forks would share."""


def everything() -> None:
    """Import what notebooks import, and go once through what is slow the first time.

    Raises:
        Unfit: afterwards this process must not fork.
    """
    before, environment = _descriptors(), dict(os.environ)
    for name in (*_KERNEL, *_COMMANDS, *_LIBRARIES, *_OURS, *_own()):
        _import(name)
    _warm()
    added.update({name: value for name, value in os.environ.items() if name not in environment})
    for_commands.extend(name for name in sys.modules if name.partition(".")[0] in _PARTLY)
    _list()
    gc.collect()
    check(before)
    # What is frozen is not looked at by collections, so that forks go on sharing it.
    gc.freeze()


def _list() -> None:
    kept = [name for name in sys.modules if name not in for_commands]
    files = [getattr(sys.modules[name], "__file__", None) for name in kept]
    _last[:] = [kept[-1], _BETWEEN.join(kept), _BETWEEN.join(filter(None, files))]


def _since() -> list[str]:
    """Return the modules that were loaded in this fork."""
    return list(takewhile(lambda name: name != _last[0], reversed(sys.modules)))


def check(before: set[str]) -> None:
    """Look at all that a fork must not inherit.

    Args:
        before: descriptors that may be open.

    Raises:
        Unfit: there is something.
    """
    if NEVER in sys.modules:
        raise Unfit(f"{NEVER} is imported; forks would lose their plots")
    if sys.modules["zmq"].Context._instance is not None:
        raise Unfit("there is a zmq context")
    if _threads() != 1:
        raise Unfit(f"{_threads()} threads run; a lock that one of them holds would stay locked in a fork")
    opened = _descriptors() - before
    if opened:
        raise Unfit(f"descriptors {sorted(opened)} were opened; forks would share them")


def _import(name: str) -> None:
    # What cannot be imported here fails in the kernel as it would in any other.
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001
        log.warning("not imported: %s (%s: %s)", name, type(error).__name__, error)


def _own() -> Iterator[str]:
    """Yield the names of opslib's modules that notebooks and their library calls reach."""
    root = Path(__file__).parents[1]
    for package in _PACKAGES:
        yield f"opslib.{package}"
        for found in pkgutil.walk_packages([str(root / package)], f"opslib.{package}."):
            if not found.name.endswith("__main__"):
                yield found.name


def _warm() -> None:
    """Look up fonts, draw a picture, show a table, read certificates and limits; leaves nothing open."""
    with suppress(ImportError):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.registry import backend_registry
        from matplotlib.figure import Figure
        from matplotlib.font_manager import _get_font  # type: ignore[attr-defined]
        from pandas import DataFrame

        # It looks through all packages for backends, else each time that one is chosen first.
        backend_registry.list_all()  # type: ignore[no-untyped-call]
        figure = Figure(figsize=(2, 2))
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot([1, 2], [1, 2], label="a")
        axes.set_title("a")
        axes.legend()
        figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")
        # A font keeps its file open, and forks would move each other's place in it.
        _get_font.cache_clear()
        DataFrame({"a": [1.0], "b": ["x"]}).to_html()
    importlib.import_module("opslib.http.transport").ssl_context()
    importlib.import_module("opslib.config.limits").defaults()
    importlib.import_module("opslib.runner.imports").prepare()


def _threads() -> int:
    """Return how many threads there are, native ones too; waits for those that are just ending."""
    until = time.monotonic() + _SETTLED_S
    while (count := len(list(Path("/proc/self/task").iterdir()))) > 1 and time.monotonic() < until:
        time.sleep(0.01)
    return count


def _descriptors() -> set[str]:
    """Return the open descriptors, without the one that this look needs."""
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}
