"""Take all measurements, alternating between the ways, and check every notebook that comes of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import kernels, outputs, single, suite, ways
from bench.kernels import Memory
from bench.outputs import Shown
from bench.process import ROOT, Taken
from bench.suite import Entry
from bench.ways import Way
from opslib.kernels import client
from opslib.sandbox import control

Rounds = Mapping[str, Sequence[Taken]]


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        size: runbooks in the suite.
        rounds: how often each way runs the suite.
        singles: how often each single command is run.
        sizes: the suites of growing size.
        kernels: how many kernels are alive at the same time when their memory is looked at.
        scale: multiplies the rows in the sandbox's databases.
    """

    size: int = 20
    rounds: int = 3
    singles: int = 9
    sizes: tuple[int, ...] = (1, 5, 20, 50, 200)
    kernels: tuple[int, ...] = (1, 4)
    scale: float = 1.0


QUICK = Plan(size=4, rounds=1, singles=1, sizes=(1, 4), kernels=(1,), scale=0.25)


@dataclass(frozen=True)
class Measured:
    """What came of it.

    Args:
        entries: the suite.
        suite: what each way took for the suite.
        single: what each command took.
        growth: what opslib took, warm, for suites of each size.
        forked: memory of forked kernels.
        plain: memory of plain ones.
        own_cpu: processor seconds of a notebook's own work.
        cold: why nothing could be forked here; "" when it could.
    """

    entries: tuple[Entry, ...]
    suite: Rounds
    single: Rounds
    growth: Mapping[int, Taken]
    forked: Sequence[Memory]
    plain: Sequence[Memory]
    own_cpu: float
    cold: str


def everything(plan: Plan) -> Measured:
    """Measure; the sandbox and the process that forks kernels are our own, and gone afterwards.

    Raises:
        Different: a way made other notebooks than stock papermill.
        Failed: a command failed.
    """
    with _alone():
        entries = suite.suite(plan.size)
        say(f"starting the sandbox for {len(entries)} runbooks")
        with ExitStack() as held:
            held.enter_context(control.ensure(*{entry.system for entry in entries}, scale=plan.scale))
            cold = client.usable()
            if not cold:
                held.enter_context(client.owned())
            return _measured(plan, entries, cold)


def alternating(
    chosen: Sequence[Way], entries: Sequence[Entry], rounds: int
) -> tuple[Rounds, Mapping[Entry, Shown]]:
    """Run entries by each way in turn, every other round backwards.

    Returns:
        What each way took, and what the first way's notebooks show; all others showed the same.

    Raises:
        Different: they did not.
    """
    taken: dict[str, list[Taken]] = {way.name: [] for way in chosen}
    wanted: Mapping[Entry, Shown] = {}
    for turn in range(rounds):
        for way in chosen if turn % 2 == 0 else reversed(chosen):
            with tempfile.TemporaryDirectory(prefix="opsbench-") as folder:
                one = way.run(entries, Path(folder))
                wanted = wanted or outputs.standard(entries, one.outputs)
                if one.outputs:
                    outputs.compare(way.name, wanted, entries, one.outputs)
            taken[way.name].append(one)
            times = taken[chosen[0].name][-1].seconds / one.seconds
            say(f"round {turn + 1} of {rounds}: {way.name}: {one.seconds:.2f} s, {times:.1f} times as quick")
    return taken, wanted


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _measured(plan: Plan, entries: tuple[Entry, ...], cold: str) -> Measured:
    forks = not cold
    one = [entry for entry in entries if entry.procedure == single.PROCEDURE][:1]
    commands = [way for way in single.commands() if forks or not way.forks]
    _accustom(one)
    taken, wanted = alternating([way for way in ways.ways() if forks or not way.forks], entries, plan.rounds)
    lone, _ = alternating(commands, one, plan.singles)
    say("memory of kernels, and the notebooks' own work")
    plain = [kernels.memory(one[0], count, forked=False) for count in plan.kernels]
    forked = [kernels.memory(one[0], count, forked=True) for count in plan.kernels if forks]
    own = kernels.own_work(entries, forked=forks)
    growth = _growth(entries, plan.sizes, wanted) if forks else {}
    return Measured(entries, taken, lone, growth, forked, plain, own, cold)


def _accustom(entries: Sequence[Entry]) -> None:
    """Run both once: the first to read a file from the disk would pay for all that follow."""
    for way in single.commands():
        if way.name not in (single.STOCK, single.PLAIN):
            continue
        with tempfile.TemporaryDirectory(prefix="opsbench-") as folder:
            way.run(entries, Path(folder))


def _growth(
    entries: Sequence[Entry], sizes: Sequence[int], wanted: Mapping[Entry, Shown]
) -> Mapping[int, Taken]:
    found = {}
    for size in sizes:
        more = suite.repeated(entries, size)
        with tempfile.TemporaryDirectory(prefix="opsbench-") as folder:
            found[size] = ways.in_one_process(more, Path(folder))
            outputs.compare(f"a suite of {size}", wanted, more, found[size].outputs)
        say(f"a suite of {size}: {found[size].seconds:.2f} s")
    return found


@contextmanager
def _alone() -> Iterator[None]:
    """Have a home of our own, and nothing of what the caller's environment says of opslib."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("OPSLIB_")]:
        del os.environ[name]
    try:
        with tempfile.TemporaryDirectory(prefix="opsbench-", ignore_cleanup_errors=True) as home:
            os.environ["OPSLIB_PARAMETERS"] = str(ROOT / "parameters")
            os.environ["OPSLIB_HOME"] = home
            yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
