"""Run commands, and say what they took: seconds, and processor time with all that they started."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent
LONGEST_S = 1800
_LAST_WORDS = 3000


class Failed(Exception):
    """A command did not do what it is for."""


@dataclass(frozen=True)
class Taken:
    """What one measurement took.

    Args:
        seconds: by the clock.
        cpu: processor seconds, of all processes together; None when one of them was replaced meanwhile.
        outputs: the executed notebooks, in the order of the suite.
        peak: the largest resident size of the process that runs them, in bytes, if it was asked for.
    """

    seconds: float
    cpu: float | None
    outputs: tuple[Path, ...] = ()
    peak: int | None = None


class Meter:
    """Measures while its block lasts: our children that end in it, and processes that outlive it.

    Args:
        lasting: returns the ids of processes that work for us and are not started in the block.
    """

    def __init__(self, lasting: Callable[[], Sequence[int]] = lambda: ()) -> None:
        self._lasting = lasting

    def __enter__(self) -> Self:
        """Begin."""
        self._pids = self._lasting()
        self._cpu = _cpu_of_children() + cpu_of(self._pids)
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self.seconds = time.perf_counter() - self._begun
        same = self._lasting() == self._pids
        self.cpu = _cpu_of_children() + cpu_of(self._pids) - self._cpu if same else None


def cpu_of(pids: Sequence[int]) -> float:
    """Return the processor seconds of processes and of their children that have ended."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(t.user + t.system + t.children_user + t.children_system for t in times))


def done(
    command: Sequence[str], env: Mapping[str, str], *, codes: Sequence[int] = (0,), stdin: str = ""
) -> str:
    """Run a command in the project's folder and return what it printed.

    Raises:
        Failed: another exit code than allowed; the message has its last words.
    """
    ended = subprocess.run(
        command, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, timeout=LONGEST_S
    )
    if ended.returncode not in codes:
        words = (ended.stderr or ended.stdout)[-_LAST_WORDS:]
        raise Failed(f"{' '.join(command)} ended with {ended.returncode}:\n{words}")
    return ended.stdout


def surroundings(folder: Path, **own: str) -> dict[str, str]:
    """Return our environment with an archive of its own, so that no way finds the records of another."""
    return {**os.environ, "OPSLIB_ARCHIVE": str(folder / "archive"), **own}


def own_peak() -> int:
    """Return the largest resident size that this process has had, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
