"""The ways to run a suite that are held against each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import workers
from bench.process import TOOLS, Meter, Taken, done, surroundings
from bench.suite import ENVIRONMENT, Entry
from opslib.kernels import client
from opslib.verdict import Status

PLAIN = {"OPSLIB_KERNELS": client.PLAIN}
STOCK = "papermill, one by one"
STOCK_2 = "papermill, 2 at a time"
API_2 = "papermill API, 2 warm processes"
COLD = "opslib cold"
TYPED = "opslib run A B C D, one a system"
WARM = "opslib warm"

Run = Callable[[Sequence[Entry], Path], Taken]


@dataclass(frozen=True)
class Way:
    """One way to run a suite.

    Args:
        name: how the table calls it.
        run: runs entries with a folder for what they leave, and says what it took.
        forks: it needs a machine on which kernels can be forked.
    """

    name: str
    run: Run
    forks: bool = False


def ways() -> tuple[Way, ...]:
    """Return all ways; stock papermill first."""
    return (
        Way(STOCK, partial(_stock, at_once=1)),
        Way(STOCK_2, partial(_stock, at_once=2)),
        Way(API_2, partial(workers.run, many=2)),
        Way(COLD, partial(_opslib, plain=True)),
        Way(f"{WARM}, --jobs 1", partial(_opslib, jobs=1), forks=True),
        Way(f"{WARM}, --jobs 4", partial(_opslib, jobs=4), forks=True),
        Way(WARM, warm, forks=True),
        Way(TYPED, _typed, forks=True),
    )


def warm(entries: Sequence[Entry], folder: Path) -> Taken:
    """Run entries by opslib in one process, with its own choice of jobs, on kernels of a running zygote."""
    return _opslib(entries, folder)


def papermill(entry: Entry, output: Path) -> list[str]:
    """Return the command of stock papermill for an entry."""
    words = [word for name, value in entry.given.items() for word in ("-p", name, str(value))]
    return [str(TOOLS / "papermill"), str(entry.notebook), str(output), *words]


def opslib_run(entries: Sequence[Entry], env: Mapping[str, str]) -> tuple[Path, ...]:
    """Run one `opslib run` for entries of one system with the same parameters; return their notebooks."""
    words = [word for name, value in entries[0].parameters for word in ("-p", f"{name}={value}")]
    words += ["--system", entries[0].system, "--env", ENVIRONMENT, "--json"]
    verdicts = sorted({status.exit_code for status in Status})
    command = [str(TOOLS / "opslib"), "run", *(entry.procedure for entry in entries), *words]
    answer = json.loads(done(command, env, codes=verdicts))
    return tuple(Path(run["record"]) / "run.ipynb" for run in answer.get("runs", [answer]))


def zygote() -> tuple[int, ...]:
    """Return the process that forks kernels, started if there is none."""
    return (int(client.warm()["pid"]),)


def _stock(entries: Sequence[Entry], folder: Path, *, at_once: int) -> Taken:
    outputs = tuple(folder / f"{number}.ipynb" for number in range(len(entries)))
    env = surroundings(folder)
    commands = [papermill(entry, output) for entry, output in zip(entries, outputs, strict=True)]
    with Meter() as meter, ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(lambda command: done(command, env), commands):
            pass
    return Taken(meter.seconds, meter.cpu, outputs)


def _typed(entries: Sequence[Entry], folder: Path) -> Taken:
    """Run whole commands, one for each system, one after the other."""
    env = surroundings(folder)
    calls: dict[Any, list[Entry]] = {}
    for entry in entries:
        calls.setdefault((entry.system, entry.parameters), []).append(entry)
    found: dict[Entry, Path] = {}
    with Meter(zygote) as meter:
        for call in calls.values():
            found.update(zip(call, opslib_run(call, env), strict=True))
    return Taken(meter.seconds, meter.cpu, tuple(found[entry] for entry in entries))


def _opslib(entries: Sequence[Entry], folder: Path, *, jobs: int | None = None, plain: bool = False) -> Taken:
    rows = [{"procedure": e.procedure, "system": e.system, "parameters": dict(e.parameters)} for e in entries]
    asked = json.dumps({"jobs": jobs, "archive": str(folder / "archive"), "entries": rows})
    env = surroundings(folder, **(PLAIN if plain else {}))
    with Meter(tuple if plain else zygote) as meter:
        answer = json.loads(done([sys.executable, "-m", "bench.driver"], env, stdin=asked))
    outputs = tuple(Path(record) / "run.ipynb" for record in answer["records"])
    return Taken(meter.seconds, meter.cpu, outputs, answer["peak"])
