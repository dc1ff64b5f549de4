"""Real witnesses on loopback for tests: they listen, they keep what they saw, they are killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opslib.config import Witness, Witnesses
from opslib.evidence import Log
from opslib.evidence.notes import Checkpoint
from opslib.evidence.witnesses import Asked, ask_all
from opslib.evidence.witnesses.service import Service
from opslib.evidence.witnesses.serving import server
from tests.evidencing import Kept, key

NAME = "witness.example/w1"


def service(folder: Path, *kept: Kept, name: str = NAME, seed: int = 9) -> Service:
    """Return a witness of some logs."""
    return Service(name, key(seed), tuple(one.signer.verifier for one in kept), folder)


@contextmanager
def serving(witness: Service) -> Iterator[str]:
    """Have a witness listen; yields its address."""
    ready = server(witness, "127.0.0.1", 0)
    thread = threading.Thread(target=ready.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{ready.server_address[1]}"
    finally:
        ready.shutdown()
        ready.server_close()


def cosigner(url: str, witness: Service, *, name: str = "w1", **more: Any) -> Witness:
    """Return what the file says of a witness."""
    return Witness(name=name, kind="c2sp", url=url, key=witness.verifier.text, **more)


def asked(kept: Kept, *witnesses: Witness, quorum: int | None = None) -> list[Asked]:
    """Ask witnesses to hold the head of a log."""
    return list(told(kept.archive, kept.log, *witnesses, quorum=quorum))


def told(archive: Path, log: Log, *witnesses: Witness, quorum: int | None = None) -> tuple[Asked, ...]:
    """Ask witnesses to hold the head of a log, and return what each said."""
    return ask_all(archive, log, Witnesses(witnesses=witnesses, quorum=quorum)).witnesses


def seen(witness: Service) -> dict[str, int]:
    """Return how many leaves of each log a witness has seen."""
    return dict(witness.sizes())


def size(kept: Kept) -> int:
    """Return how many leaves a log has."""
    note = kept.log.head()
    return Checkpoint.parse(note.text).size if note else 0


def written(path: Path, **parts: Any) -> Path:
    """Write a file of witnesses; JSON is YAML, too."""
    path.write_text(json.dumps(parts), encoding="utf-8")
    return path
