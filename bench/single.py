"""What one command takes, from the shell's prompt to the next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import ways
from bench.process import TOOLS, Meter, Taken, done, surroundings
from bench.suite import Entry
from bench.ways import Way

STOCK = "papermill"
BARE = "papermill without JupyterLab's share"
WARM = "opslib run, warm"
PLAIN = "opslib run, plain kernel"
FIRST = "opslib run, no zygote yet"
HELP = "opslib --help"
PROCEDURE = "health-check"

_OPSLIB = str(TOOLS / "opslib")
# With JupyterLab comes a package whose grammars are compiled whenever papermill is imported.
_BARE = (
    "import sys; sys.modules['rfc3987_syntax'] = None; "
    "from papermill.__main__ import papermill; sys.exit(papermill())"
)
_IDLE_S = "5"


def commands() -> tuple[Way, ...]:
    """Return the commands to measure; stock papermill first."""
    return (
        Way(STOCK, partial(_papermill, bare=False)),
        Way(BARE, partial(_papermill, bare=True)),
        Way(WARM, _warm, forks=True),
        Way(PLAIN, _plain),
        Way(FIRST, _first, forks=True),
        Way(HELP, _help),
    )


def _papermill(entries: Sequence[Entry], folder: Path, *, bare: bool) -> Taken:
    output = folder / "out.ipynb"
    words = ways.papermill(entries[0], output)
    command = [sys.executable, "-c", _BARE, *words[1:]] if bare else words
    with Meter() as meter:
        done(command, surroundings(folder))
    return Taken(meter.seconds, meter.cpu, (output,))


def _warm(entries: Sequence[Entry], folder: Path) -> Taken:
    with Meter(ways.zygote) as meter:
        outputs = ways.opslib_run(entries, surroundings(folder))
    return Taken(meter.seconds, meter.cpu, outputs)


def _plain(entries: Sequence[Entry], folder: Path) -> Taken:
    with Meter() as meter:
        outputs = ways.opslib_run(entries, surroundings(folder, **ways.PLAIN))
    return Taken(meter.seconds, meter.cpu, outputs)


def _first(entries: Sequence[Entry], folder: Path) -> Taken:
    """The zygote that this starts outlives the command, so its processor time is not known."""
    home = folder / "kernels"
    env = surroundings(folder, OPSLIB_KERNELS_HOME=str(home), OPSLIB_KERNELS_IDLE_S=_IDLE_S)
    with Meter() as meter:
        outputs = ways.opslib_run(entries, env)
    done([_OPSLIB, "kernels", "stop", "--now"], env)
    return Taken(meter.seconds, None, outputs)


def _help(entries: Sequence[Entry], folder: Path) -> Taken:
    with Meter() as meter:
        done([_OPSLIB, "--help"], surroundings(folder))
    return Taken(meter.seconds, meter.cpu)
