"""Approvals, changes and notes of an archive, for tests of evidence."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from opslib.evidence import Log, LogSigner
from opslib.evidence.events import Annotation, Approval, ChangeBegun, RunRequested, Subject
from opslib.evidence.signing import rotation
from tests.evidencing import ORIGIN, Kept, key

LOG_KEY, RUNNER = 5, 6  # seeds of the keys that take the place of the first ones


def approve(kept: Kept, plan: str, *, at: datetime, **more: Any) -> Path:
    """Have somebody sign a plan, and tell the log; return the file of what they signed."""
    path = kept.archive / "changes" / plan.removeprefix("sha256:") / "approval-1.json"
    event = Approval(time=at, actor="bo", plan=plan, subjects=(_written(kept, path, "I agree"),), **more)
    kept.log.append(event)
    return path


def begin(kept: Kept, number: int, plan: str, *, at: datetime, need: str = "other", undoes: str = "") -> None:
    """Have a run ask for a change and begin it; it is still at it."""
    run = f"run-{number:04d}"
    asked = RunRequested(time=at, actor="ana", run=run)
    change = ChangeBegun(time=at, actor="ana", run=run, plan=plan, undoes=undoes, need=need)
    kept.log.append(asked, change)
    kept.seal(kept.publish(run, at, changed=["done"]), at)


def annotate(kept: Kept, run: str, text: str, *, at: datetime) -> Path:
    """Have somebody note something of a run; return the note's file."""
    path = kept.archive / "notes" / run / f"{at:%H%M}.json"
    kept.log.append(Annotation(time=at, actor="ana", run=run, subjects=(_written(kept, path, text),)))
    return path


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
