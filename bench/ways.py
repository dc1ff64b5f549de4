"""The ways to run a suite that are held against each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import workers
from bench.process import TOOLS, Meter, Taken, done, surroundings
from bench.suite import ENVIRONMENT, Entry, Parameters
from opslib.kernels import client
from opslib.verdict import Status

PLAIN = {"OPSLIB_KERNELS": client.PLAIN}
STOCK = "papermill, one by one"
STOCK_2 = "papermill, 2 at a time"
API_2 = "papermill API, 2 warm processes"
COLD = "opslib cold"
WARM = "opslib warm"

Run = Callable[[Sequence[Entry], Path], Taken]
_Call = tuple[tuple[str, ...], Parameters]
_VERDICTS = sorted({status.exit_code for status in Status})


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
        Way(f"{WARM}, --jobs 1", _jobs(1), forks=True),
        Way(f"{WARM}, --jobs 4", _jobs(4), forks=True),
        Way(WARM, _opslib, forks=True),
    )


def in_one_process(entries: Sequence[Entry], folder: Path) -> Taken:
    """Run entries by opslib's own library, warm, in a process that also says how large it grew."""
    rows = [{"procedure": e.procedure, "system": e.system, "parameters": dict(e.parameters)} for e in entries]
    asked = json.dumps({"archive": str(folder / "archive"), "entries": rows})
    with Meter(zygote) as meter:
        answer = json.loads(done([sys.executable, "-m", "bench.driver"], surroundings(folder), stdin=asked))
    outputs = tuple(Path(record) / "run.ipynb" for record in answer["records"])
    return Taken(meter.seconds, meter.cpu, outputs, answer["peak"])


def papermill(entry: Entry, output: Path) -> list[str]:
    """Return the command of stock papermill for an entry."""
    words = [word for name, value in entry.given.items() for word in ("-p", name, str(value))]
    return [str(TOOLS / "papermill"), str(entry.notebook), str(output), *words]


def opslib_run(entries: Sequence[Entry], env: Mapping[str, str], *options: str) -> tuple[Path, ...]:
    """Run entries with as few `opslib run` as there can be, one after the other; return their notebooks."""
    found: dict[tuple[str, str, Parameters], Path] = {}
    for (procedures, parameters), systems in _calls(entries).items():
        words = [word for system in systems for word in ("--system", system)]
        words += [word for name, value in parameters for word in ("-p", f"{name}={value}")]
        command = [str(TOOLS / "opslib"), "run", *procedures, *words, "--env", ENVIRONMENT, "--json"]
        answer = json.loads(done([*command, *options], env, codes=_VERDICTS))
        for run in answer.get("runs", [answer]):
            found[run["system"], run["procedure"], parameters] = Path(run["record"]) / "run.ipynb"
    return tuple(found[entry.system, entry.procedure, entry.parameters] for entry in entries)


def _calls(entries: Sequence[Entry]) -> dict[_Call, list[str]]:
    """Return which procedures with which parameters are run on which systems."""
    asked: dict[tuple[str, Parameters], list[str]] = {}
    for entry in entries:
        asked.setdefault((entry.system, entry.parameters), []).append(entry.procedure)
    calls: dict[_Call, list[str]] = {}
    for (system, parameters), procedures in asked.items():
        # In one order, or the same procedures on another system would be another command.
        calls.setdefault((tuple(sorted(procedures)), parameters), []).append(system)
    return calls


def zygote() -> tuple[int, ...]:
    """Return the process that forks kernels, started if there is none."""
    return (int(client.warm()["pid"]),)


def _jobs(many: int) -> Run:
    return lambda entries, folder: _opslib(entries, folder, "--jobs", str(many))


def _stock(entries: Sequence[Entry], folder: Path, *, at_once: int) -> Taken:
    outputs = tuple(folder / f"{number}.ipynb" for number in range(len(entries)))
    env = surroundings(folder)
    commands = [papermill(entry, output) for entry, output in zip(entries, outputs, strict=True)]
    with Meter() as meter, ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(lambda command: done(command, env), commands):
            pass
    return Taken(meter.seconds, meter.cpu, outputs)


def _opslib(entries: Sequence[Entry], folder: Path, *options: str, plain: bool = False) -> Taken:
    env = surroundings(folder, **(PLAIN if plain else {}))
    with Meter(tuple if plain else zygote) as meter:
        outputs = opslib_run(entries, env, *options)
    return Taken(meter.seconds, meter.cpu, outputs)
