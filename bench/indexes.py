"""An index of very many runs, made without their records, and what people ask of one."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from opslib import ids
from opslib.archive import schema, texts
from opslib.archive.asking import KIND, place
from opslib.archive.index import Index

PROCEDURES = ("site-down", "database-connections", "health-check", "certificates", "queue", "restore")
SYSTEMS = ("klutr", "kulti", "your-app", "your-backend", "voiceaitraining")
VERDICTS = (("ok", ""), ("warning", "pool-small"), ("critical", "lock-storm"), ("unknown", "kernel-died"))
WORDS = ("pool", "lock", "timeout", "disk", "vacuum", "certificate", "deploy", "replica", "queue", "memory")
ACTORS = ("ana", "bo", "schedule:daily")
STEP = timedelta(seconds=30)

Question = Callable[[], object]


def indexed(archive: Path, runs: int) -> Index:
    """Return an index of so many runs, of the same few kinds as a team has them."""
    archive.mkdir()
    began = ids.now() - STEP * runs
    kinds = list(product(PROCEDURES, SYSTEMS, ("production",), VERDICTS, ("schedule",), ACTORS))
    with closing(sqlite3.connect(archive / "index.sqlite")) as database:
        schema.fill(database, archive)
        with database:
            database.executemany(
                f"insert into kind values ({', '.join('?' * (len(KIND) + 3))})",
                [
                    (number, *_kind(kind), len(range(number, runs, len(kinds))), place(ids.stamp(ids.now())))
                    for number, kind in enumerate(kinds)
                ],
            )
            for command, row in _rows(kinds, runs, began):
                database.execute(command, row)
    return Index(archive)


def questions(index: Index) -> tuple[Sequence[Question], Sequence[Question]]:
    """Return what people ask of history, and what they search for."""
    asked: list[dict[str, str]] = [
        {}, {"system": "kulti"}, {"procedure": "restore", "verdict": "critical"}, {"cause": "lock-storm"},
        {"actor": "ana", "system": "klutr", "procedure": "queue", "verdict": "unknown"},
        {"since": ids.stamp(ids.now() - timedelta(days=7)), "verdict": "warning"},
    ]  # fmt: skip
    words = (["pool"], ["lock", "timeout"], ["disk nearly full"], ["certificate", "replica", "vacuum"])
    return (
        [partial(index.find, limit=20, **one) for one in asked],
        [partial(index.search, list(some), limit=20) for some in words],
    )


def _rows(kinds: Sequence[Any], runs: int, began: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    chance = random.Random(runs)
    marks = [" ".join(texts.mark(*pair) for pair in zip(KIND, _kind(kind), strict=True)) for kind in kinds]
    run = "insert into run values (?, ?, ?, ?, ?, ?)"
    words = "insert into words (rowid, cause, findings, output, marks) values (?, ?, ?, ?, ?)"
    for number in range(runs):
        kind, when = number % len(kinds), ids.stamp(began + STEP * number)
        own, name = place(when), f"{number:032x}"
        document = _document(name, kinds[kind], when)
        yield run, (own, name, kind, when, f"runs/{name}", json.dumps(document))
        said = " ".join(chance.choices(WORDS, k=6))
        yield words, (own, document["cause"] or "", said, f"disk nearly full {said} {name[-6:]}", marks[kind])


def _kind(kind: Any) -> tuple[str, ...]:
    procedure, system, environment, (verdict, cause), trigger, actor = kind
    return (procedure, system, environment, verdict, cause, trigger, actor)


def _document(name: str, kind: Any, when: str) -> dict[str, Any]:
    told = dict(zip(KIND, _kind(kind), strict=True))
    finding = {
        "check": "connections",
        "status": told["verdict"],
        "subject": "",
        "observed": "97 %",
        "why": "",
    }
    return {
        **told, "run_id": name, "started_at": when, "finished_at": when, "duration_s": 1.0, "record": "",
        "scheduled_for": when, "causes": [], "findings": [finding] * 4, "next": [], "plan": None,
        "changed": [], "parameters": {}, "code": {},
    }  # fmt: skip
