"""Approvals, changes and notes of an archive, for tests of evidence."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from opslib.archive.notes import Notes
from opslib.evidence import Log, LogSigner
from opslib.evidence.events import Annotation, Approval, ChangeBegun, RunRequested, Subject
from opslib.evidence.signing import rotation
from opslib.gate import signing
from opslib.keys import Signer, sshsig
from tests.evidencing import ORIGIN, Kept, key, stamp

LOG_KEY, RUNNER = 5, 6  # seeds of the keys that take the place of the first ones
BO, EVE = 20, 21  # seeds of the keys of people


def signer(seed: int) -> Signer:
    """Return how a person signs, with a key that is always the same."""
    made = key(seed)
    return Signer(
        made.public, "", lambda payload, purpose: sshsig.made(payload, purpose, made.public, made.sign)
    )


def approve(kept: Kept, plan: str, *, at: datetime, by: int = BO, **more: Any) -> Path:
    """Have somebody sign a plan, and tell the log; return the file of what they signed."""
    path, event = approval(kept, plan, at=at, by=by, **more)
    kept.log.append(event)
    return path


def approval(
    kept: Kept, plan: str, *, at: datetime, by: int = BO, decision: str = "approved", **more: Any
) -> tuple[Path, Approval]:
    """Have somebody sign a plan; return the file of what they signed, and what the log is to be told."""
    given = more.pop("given", at)
    kind = signing.REVIEW if decision == "reviewed" else signing.APPROVAL
    until = more.pop("until", given + timedelta(hours=1))
    ends = {"expires_at": stamp(until), "system": "kulti", "environment": "production"}
    stated = {
        "at": stamp(given), "reason": "I agree", **ends, "break_glass": decision == "break-glass",
    }  # fmt: skip
    document = signing.sign(kind, plan, signer(by), **stated)
    folder = kept.archive / "changes" / plan.removeprefix("sha256:")
    path = folder / f"approval-{len(list(folder.glob('approval-*'))) + 1}.json"
    leaf = {
        "actor": "bo", "plan": plan, "decision": decision, "key": signer(by).fingerprint, "given": given,
        "subjects": (_written(kept, path, json.dumps(document, indent=2)),),
    }  # fmt: skip
    return path, Approval(time=at, **{**leaf, **more})


def begin(
    kept: Kept, number: int, plan: str, *, at: datetime, need: str = "other", undoes: str = "",
    environment: str = "production", **more: Any,
) -> None:  # fmt: skip
    """Have a run ask for a change and begin it; it is still at it."""
    run = f"run-{number:04d}"
    asked = RunRequested(time=at, actor="ana", run=run, environment=environment, **more)
    change = ChangeBegun(time=at, actor="ana", run=run, plan=plan, undoes=undoes, need=need)
    kept.log.append(asked, change)
    kept.seal(kept.publish(run, at, changed=["done"], where=environment, **more), at)


def annotate(kept: Kept, run: str, text: str, *, at: datetime) -> Path:
    """Have somebody note something of a run; return the note's file."""
    path = kept.archive / "notes" / run / f"{at:%H%M}.json"
    kept.log.append(Annotation(time=at, actor="ana", run=run, subjects=(_written(kept, path, text),)))
    return path


def sign_note(kept: Kept, about: str, text: str, *, at: datetime, **more: Any) -> Path:
    """Have somebody sign a note of a run, and tell the log; return the note's file."""
    note = Notes(kept.archive).add(about, "bo", text, signer(BO))
    digest = hashlib.sha256(note.path.read_bytes()).hexdigest()
    file = Subject(note.path.relative_to(kept.archive).as_posix(), digest)
    leaf = {"actor": "bo", "run": about, "key": note.signed_by, "subjects": (file,)}
    kept.log.append(Annotation(time=at, **{**leaf, **more}))
    return note.path


def replaced(kept: Kept, when: datetime) -> None:
    """Have the keys of log and runner be replaced, and tell the log of it."""
    before, old = kept.signer.verifier, kept.runner
    kept.signer, kept.runner = LogSigner(ORIGIN, key(LOG_KEY)), key(RUNNER)
    kept.log = Log(kept.archive / "log", kept.signer, [before])
    kept.log.append(rotation(when, "log", key(1), key(LOG_KEY)), rotation(when, "runner", old, kept.runner))


def _written(kept: Kept, path: Path, text: str) -> Subject:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Subject(path.relative_to(kept.archive).as_posix(), digest)
