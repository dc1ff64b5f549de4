"""An archive with a log, and witnesses, for tests of evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opslib.archive import record, store
from opslib.evidence import Log, LogSigner, Scope, Trust, finished, seal, sign_statement, trust
from opslib.evidence.events import RunRequested, RunStarted, Subject
from opslib.evidence.merkle import EMPTY_ROOT, consistent
from opslib.evidence.notes import (
    WITNESS_KEY,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    cosigned,
)
from opslib.evidence.trusting import quickly_verified
from opslib.keys.machine import MachineKey

BEGAN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ORIGIN = "records.example/acme"
SLOT = "nightly"
PROCEDURE = "site-down"


def key(seed: int) -> MachineKey:
    """Return a key that is always the same."""
    return MachineKey.of(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


@dataclass
class Witness:
    """Somebody outside, who remembers the last head that it cosigned.

    Args:
        name: its name.
        log: key of the log.
        own: its key.
    """

    name: str
    log: VerifierKey
    own: MachineKey = field(default_factory=lambda: key(9))
    size: int = 0
    root: bytes = EMPTY_ROOT

    @property
    def verifier(self) -> VerifierKey:
        """Its public key."""
        return VerifierKey(self.name, WITNESS_KEY, self.own.raw)

    def cosign(self, note: Note, proof: Iterable[bytes], when: datetime) -> Note:
        """Return the note with a cosignature, if it continues what was seen before."""
        head = Checkpoint.parse(note.text)
        assert self.log in note.signers([self.log], quickly_verified)
        assert consistent(self.size, head.size, self.root, head.root, tuple(proof)), "the history is another"
        self.size, self.root = head.size, head.root
        seconds = int(when.timestamp())
        content = seconds.to_bytes(8, "big") + self.own.sign(cosigned(note.text, seconds))
        return Note(note.text, (*note.signatures, NoteSignature(self.name, self.verifier.id, content)))


@dataclass
class Kept:
    """An archive with sealed runs, one an hour.

    Args:
        archive: its folder.
        seed: of the keys of log and runner.
    """

    archive: Path
    seed: int = 1
    runs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signer = LogSigner(ORIGIN, key(self.seed))
        self.runner = key(self.seed + 1)
        self.log = Log(self.archive / "log", self.signer)
        self.witness = Witness("witness.example/w1", self.signer.verifier)

    @property
    def policy(self) -> str:
        """A policy that asks for no witness."""
        return f"log {self.signer.verifier.text}\nquorum none\n"

    @property
    def watched(self) -> str:
        """A policy that asks for the witness."""
        lines = (f"log {self.signer.verifier.text}", f"witness w1 {self.witness.verifier.text}", "quorum w1")
        return "".join(f"{line}\n" for line in lines)

    def trusted(self, policy: str = "") -> Trust:
        """Return whom an auditor believes."""
        return trust(policy or self.policy, [self.runner.public.line])

    def run(self, number: int, *, at: datetime | None = None, verdict: str = "ok", **more: Any) -> Path:
        """Have a run leave all that it leaves; return the folder of its record."""
        began = at or BEGAN + timedelta(hours=number)
        run = f"run-{number:04d}"
        self.begin(run, began, **more)
        folder = self.publish(run, began, verdict, **more)
        self.seal(folder, began + timedelta(minutes=1))
        self.runs.append(run)
        return folder

    def begin(self, run: str, began: datetime, **more: Any) -> None:
        """Have a run be asked for and started."""
        what = {"procedure": more.get("procedure", PROCEDURE), "system": "kulti", "environment": "production"}
        who = {"actor": more.get("actor", "ana"), "trigger": "schedule", "slot": more.get("slot", SLOT)}
        asked = RunRequested(time=began, run=run, scheduled_for=more.get("moment", began), **what, **who)
        self.log.append(asked, RunStarted(time=began, run=run))

    def publish(self, run: str, began: datetime, verdict: str = "ok", **more: Any) -> Path:
        """Put a record into its place, unsealed."""
        files = {"run.ipynb": f'{{"cells": ["{run}"]}}'.encode(), "run.html": f"<p>{run}".encode()}
        what = (more.get("procedure", PROCEDURE), more.get("changed", ()), more.get("where", "production"))
        stated = statement(run, began, verdict, files, *what)
        signed = sign_statement(stated, more.get("signer", self.runner))
        beside = {"run.json": stated} if more.get("plain") else {}
        return store.publish(self.archive, run, began, {**files, **beside, "run.dsse.json": signed})

    def seal(self, folder: Path, when: datetime, blob: bytes = b"") -> None:
        """Seal a record that is in its place, with a blob of its own."""
        content = blob or folder.name.encode()
        digest = hashlib.sha256(content).hexdigest()
        name = f"blobs/sha256/{digest}"
        (self.archive / name).parent.mkdir(parents=True, exist_ok=True)
        (self.archive / name).write_bytes(content)
        envelope = (folder / "run.dsse.json").read_bytes()
        beside = [
            Subject(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in folder.glob("run.json")
        ]
        event = finished(envelope, when, actor="ana", blobs=[Subject(name, digest), *beside])
        seal(self.log, folder, event)

    def cosign(self, when: datetime) -> bytes:
        """Have the witness cosign the present head; it is kept in the archive and returned."""
        note = self.log.head()
        assert note
        cosigned_note = self.witness.cosign(note, self.log.consistency(self.witness.size), when)
        self.log.keep_cosigned(cosigned_note)
        return cosigned_note.encode()

    def folder(self, number: int) -> Path:
        """Return the folder of a record."""
        began = BEGAN + timedelta(hours=number)
        return store.folder(self.archive, f"run-{number:04d}", began)

    def write_keys(self, policy: str = "") -> None:
        """Put the keys into the archive's folder, where the stand-alone verifier looks for them."""
        (self.archive / "policy").write_text(policy or self.policy)
        (self.archive / "runner-keys").write_text(f"{self.runner.public.line} runner\n")


def statement(
    run: str,
    began: datetime,
    verdict: str,
    files: dict[str, bytes],
    procedure: str = PROCEDURE,
    changed: Iterable[str] = (),
    environment: str = "production",
) -> bytes:
    """Return the statement of a run, as the archive makes it."""
    ended = began + timedelta(seconds=30)
    document: dict[str, Any] = {
        "run_id": run, "procedure": procedure, "system": "kulti", "environment": environment,
        "verdict": verdict, "cause": None, "causes": [], "findings": [], "next": [], "plan": None,
        "changed": [{"target": "a flag", "state": state} for state in changed],
        "started_at": stamp(began), "finished_at": stamp(ended), "duration_s": 30.0,
    }  # fmt: skip
    origin = {
        "parameters": {}, "trigger": "schedule", "scheduled_for": stamp(began), "secrets": [], "actor": SLOT,
        "actor_type": "System", "host": "here", "versions": {}, "masked": {},
        "source": {"name": "x.ipynb", "sha256": "0" * 64, "commit": None, "dirty": None},
    }  # fmt: skip
    return record.quickly(record.statement(record.predicate(document, origin, []), files))


def stamp(when: datetime) -> str:
    """Return a moment as records have it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def later(hours: float) -> datetime:
    """Return a moment so many hours after the first run."""
    return BEGAN + timedelta(hours=hours)


def audit(**more: Any) -> Scope:
    """Return a scope whose present lies well after all runs."""
    return Scope(**{"now": BEGAN + timedelta(days=30), **more})
