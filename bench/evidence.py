"""What evidence costs, and whether it stays so: a log of a thousand leaves against one of a million.

All of it is made here, in a folder that is gone afterwards: the leaves are real events, the records real
records, the index has as many runs as the log has leaves.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import masked
from bench.figures import Spread
from bench.indexes import indexed, questions
from bench.measure import say
from bench.report import Table
from opslib import ids
from opslib.archive import record, store
from opslib.evidence import (
    Log,
    LogSigner,
    finished,
    seal,
    sign_statement,
    standalone_verifier,
    trust,
    verify_archive,
)  # fmt: skip
from opslib.evidence.events import Hold, RunRequested
from opslib.evidence.tiles import rehash
from opslib.keys.machine import MachineKey
from opslib.masking import Masker, seen

BEGAN = datetime(2020, 11, 21, 3, 0, tzinfo=UTC)
_MEGABYTE = 1_000_000  # characters
BATCH = 10_000  # events a write; making the log is not what is measured


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        sizes: of the logs, the smallest first.
        seals: records sealed into each.
        proofs: made of each.
        verified: how often the stand-alone verifier is run.
        asked: how often each question is put to the index.
    """

    sizes: tuple[int, ...] = (1_000, 1_000_000)
    seals: int = 200
    proofs: int = 200
    verified: int = 15
    asked: int = 40


QUICK = Plan((256, 1_024), 5, 5, 1, 2)


@dataclass(frozen=True)
class Measure:
    """One thing that is measured.

    Args:
        text: what.
        limit: what is asked for, in the unit; None where nothing is.
        unit: `ms` or `s`.
        share: which value of all counts: 0.95 is that below which 95 of 100 are.
    """

    text: str
    limit: float | None
    unit: str
    share: float = 0.95

    def of(self, values: Spread) -> float:
        """Return the value that counts, in the unit."""
        found = sorted(values.values)[min(len(values.values) - 1, int(self.share * len(values.values)))]
        return found * (1000 if self.unit == "ms" else 1)


MASK = Measure("look through a megabyte of a notebook for secrets, for the first time", 100, "ms", 0.5)
SEAL = Measure("seal a record, all of it on the disk (p95)", 10, "ms")
PROOF = Measure("prove a leaf, from files (median)", 1, "ms", 0.5)
SLOW_PROOF = Measure("prove a leaf, from files (p95)", None, "ms")
RECORD = Measure("verify one record, stand-alone, with Python's start (median)", 100, "ms", 0.5)
REHASH = Measure("hash the whole log again", 3, "s", 0.5)
WHOLE = Measure("verify the whole log, without records", None, "s", 0.5)
HISTORY = Measure("ask for runs (p95)", 50, "ms")
SEARCH = Measure("search for words (p95)", 50, "ms")

Taken = Mapping[int, Mapping[Measure, Spread]]


def everything(plan: Plan) -> Taken:
    """Measure logs and indexes of each size."""
    found: dict[int, Mapping[Measure, Spread]] = {}
    for size in plan.sizes:
        with tempfile.TemporaryDirectory(prefix="opsbench-") as folder:
            say(f"a log of {size} leaves")
            measured = (_masked(plan), _logged(Path(folder), size, plan), _asked(Path(folder), size, plan))
            found[size] = {measure: taken for part in measured for measure, taken in part.items()}
    return found


def tables(taken: Taken) -> tuple[Table, ...]:
    """Return the table of all measures, by size, with what is asked for and how flat it is."""
    sizes = list(taken)
    rows = [
        _row(measure, [measure.of(taken[size][measure]) for size in sizes]) for measure in taken[sizes[-1]]
    ]
    columns = ("what", *(f"{size:,} leaves" for size in sizes), "times as much", "asked", "reached")
    note = (
        "A log of so many leaves, an index of so many runs. What looks at every leaf grows with them, all "
        "else should stay as it is; what is asked for is asked of the largest."
    )
    return (Table("Evidence", columns, tuple(rows), note),)


def _row(measure: Measure, values: list[float]) -> tuple[str, ...]:
    cells = (f"{value:.2f} {measure.unit}" for value in values)
    asked, reached = ("", "") if measure.limit is None else (f"{measure.limit:g} {measure.unit}", "yes")
    if measure.limit is not None and values[-1] > measure.limit:
        reached = "no"
    ratio = f"{values[-1] / values[0]:.1f}" if values[0] else "?"
    return (measure.text, *cells, ratio, asked, reached)


def _masked(plan: Plan) -> dict[Measure, Spread]:
    shown, secrets = masked.notebook(_MEGABYTE), masked.secrets()
    taken = []
    for _ in range(plan.verified):
        seen.ready.cache_clear()
        masker = Masker(secrets, net=True)
        masker.mask("its tables are made by now")
        taken.append(_timed(partial(masker.mask_json, shown)))
    return {MASK: Spread(tuple(taken))}


def _logged(folder: Path, size: int, plan: Plan) -> dict[Measure, Spread]:
    signer, runner = LogSigner("bench.example/log", _key()), _key()
    log = Log(folder / "log", signer)
    _fill(log, size)
    seals = [_sealed(log, folder, runner, number) for number in range(plan.seals)]
    chosen = random.Random(size).sample(range(size), plan.proofs)
    proofs = [_timed(partial(_prove, log, index)) for index in chosen]
    policy = f"log {signer.verifier.text}\nquorum none\n"
    (folder / "policy").write_text(policy)
    (folder / "runner-keys").write_text(f"{runner.public.line}\n")
    known = trust(policy, [runner.public.line])
    return {
        SEAL: Spread(tuple(seals)),
        PROOF: Spread(tuple(proofs)),
        SLOW_PROOF: Spread(tuple(proofs)),
        RECORD: Spread(tuple(_stand_alone(folder, plan.verified))),
        REHASH: Spread((_timed(lambda: rehash(log.folder, size)),)),
        WHOLE: Spread((_timed(lambda: _must_be_sound(verify_archive(folder, known).sound)),)),
    }


def _asked(folder: Path, size: int, plan: Plan) -> dict[Measure, Spread]:
    say(f"an index of {size} runs")
    index = indexed(folder / "indexed", size)
    history, search = questions(index)
    return {
        measure: Spread(tuple(_timed(ask) for ask in asks for _ in range(plan.asked)))
        for measure, asks in ((HISTORY, history), (SEARCH, search))
    }


def _fill(log: Log, size: int) -> None:
    for first in range(0, size, BATCH):
        numbers = range(first, min(first + BATCH, size))
        log.append(*(_event(number) for number in numbers))
    os.sync()  # or the disk would still be at work on these while others are measured


def _event(number: int) -> Hold:
    """Return an event that no record belongs to; its leaf is as long as most."""
    when = BEGAN + timedelta(milliseconds=number)
    state = "cleared" if number % 2 else "set"
    return Hold(time=when, actor="ana", run=f"run-{number // 2:08d}", state=state, reason="a dispute of 2026")


def _sealed(log: Log, folder: Path, runner: MachineKey, number: int) -> float:
    """Return how long all takes that keeping a record does: sign, write, log, prove."""
    run, began = f"sealed-{number:04d}", ids.now()
    files = {"run.ipynb": run.encode() * 5_000, "run.html": run.encode() * 5_000}
    log.append(RunRequested(time=began, run=run))
    return _timed(lambda: _seal(log, folder, runner, run, began, files))


def _seal(
    log: Log, folder: Path, runner: MachineKey, run: str, began: datetime, files: Mapping[str, bytes]
) -> None:
    envelope = sign_statement(record.quickly(_statement(run, began, files)), runner)
    place = store.publish(folder, run, began, {**files, "run.dsse.json": envelope})
    seal(log, place, finished(envelope, ids.now()))


def _prove(log: Log, index: int) -> None:
    """Prove a leaf as a process does that has read nothing yet."""
    Log(log.folder, log.signer).proof(index)


def _statement(run: str, began: datetime, files: Mapping[str, bytes]) -> record.Document:
    document: dict[str, Any] = {
        "run_id": run, "procedure": "site-down", "system": "kulti", "environment": "sandbox", "verdict": "ok",
        "cause": None, "causes": [], "findings": [], "next": [], "plan": None, "changed": [],
        "started_at": ids.stamp(began), "finished_at": ids.stamp(began), "duration_s": 0.0,
    }  # fmt: skip
    origin: dict[str, Any] = {
        "parameters": {}, "trigger": "manual", "scheduled_for": None, "secrets": [], "actor": "ana",
        "actor_type": "User", "host": "here", "versions": {}, "masked": {},
        "source": {"name": "x.ipynb", "sha256": "0" * 64, "commit": None, "dirty": None},
    }  # fmt: skip
    return record.statement(record.predicate(document, origin, []), files)


def _stand_alone(folder: Path, times: int) -> Iterator[float]:
    """Verify the newest record in a Python that has nothing but itself."""
    script = folder / "verify_evidence.py"
    script.write_text(standalone_verifier())
    newest = max(folder.glob("runs/*/*/*/sealed-*"))
    keys = ("--policy", str(folder / "policy"), "--runner-keys", str(folder / "runner-keys"))
    words = [sys.executable, "-I", "-S", str(script), str(newest), *keys]
    for _ in range(times):
        yield _timed(lambda: subprocess.run(words, check=True, capture_output=True))


def _must_be_sound(sound: bool) -> None:
    if not sound:
        raise AssertionError("what was measured is not sound")


def _timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def _key() -> MachineKey:
    return MachineKey.of(Ed25519PrivateKey.generate())
