"""What the log of an archive is told of people: who approved a plan or carries it out, who noted what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.archive.changes import Changes, digest_of
from opslib.runner import notary, origin

if TYPE_CHECKING:
    from opslib.archive.notes import Note
    from opslib.config import Environment
    from opslib.evidence.events import Event, Subject
    from opslib.gate.approving import Authority
    from opslib.gate.plan import Plan


def approved(archive: Path, path: Path, document: Mapping[str, Any], person: str) -> None:
    """Tell the log that somebody has answered for a plan.

    Args:
        archive: whose log.
        path: of what they signed.
        document: what they signed.
        person: whose key it was.
    """
    with notary.complaining(f"an approval is not in the log of {archive}"):
        notary.log_of(archive).append(_approval(archive, path, document, person))


def begun(archive: Path, run: str, plan: Plan, env: Environment, allowed: Authority) -> None:
    """Tell the log that a run is about to carry out a plan, after the approvals that allow it.

    Those that were given where this log cannot be written are in it from now on.
    """
    from opslib.evidence.events import ChangeBegun

    with notary.complaining(f"a change is not in the log of {archive}"):
        given = list(_unlogged(archive, plan, env, allowed))
        undoes = plan.undoes or ""
        change = ChangeBegun(
            time=ids.now(), actor=allowed.applied_by or origin.user(), run=run, plan=plan.digest,
            undoes=undoes, need=allowed.need,
        )  # fmt: skip
        notary.log_of(archive).append(*given, change)


def noted(archive: Path, note: Note) -> None:
    """Tell the log of a note that is in its place."""
    from opslib.evidence.events import Annotation

    with notary.complaining(f"a note is not in the log of {archive}"):
        files = (_subject(archive, note.path),)
        event = Annotation(
            time=ids.now(), actor=note.actor, run=note.run_id, key=note.signed_by, subjects=files
        )
        notary.log_of(archive).append(event)


def _unlogged(archive: Path, plan: Plan, env: Environment, allowed: Authority) -> Iterator[Event]:
    from opslib.gate import signing
    from opslib.runner.known import known

    told, changes = known(archive / notary.LOG).agreed, Changes(archive)
    for digest in filter(None, (plan.digest, plan.undoes)):
        # One that comes meanwhile is not among those that allow this.
        files = zip(changes.approval_files(digest), changes.approvals(digest), strict=False)
        for path, document in files:
            counted = digest_of(document) in allowed.approvals
            if counted and _subject(archive, path).sha256 not in told:
                who = signing.verified(document, signing.APPROVAL, digest, env).person.id
                yield _approval(archive, path, document, who)


def _approval(archive: Path, path: Path, document: Mapping[str, Any], person: str) -> Event:
    from opslib import keys
    from opslib.evidence.events import Approval
    from opslib.gate.signing import NAMESPACE

    payload = document["statement"].encode(errors="surrogatepass")
    # Whose key it was follows from the signature; what else the file says of that is nobody's word.
    signed_by = keys.verify(payload, document["signature"], NAMESPACE)
    stated = json.loads(document["statement"])
    return Approval(
        time=ids.now(),
        actor=person,
        subjects=(_subject(archive, path),),
        plan=stated["digest"],
        decision=_decision(stated),
        key=keys.PublicKey.parse(signed_by).fingerprint,
        given=datetime.fromisoformat(stated["at"]),
    )


def _decision(stated: Mapping[str, Any]) -> str:
    if stated["type"].endswith("/review/v0.1"):
        return "reviewed"
    return "break-glass" if stated.get("break_glass") is True else "approved"


def _subject(archive: Path, path: Path) -> Subject:
    from opslib.archive import shared
    from opslib.evidence.events import Subject

    digest = hashlib.sha256(shared.read(path)).hexdigest()
    return Subject(path.relative_to(archive).as_posix(), digest)
