"""Files that are copied from a bucket to its copy, or brought back from there: where there is none only.

And files that are old enough to be in the copy alone: removed from the bucket, once both are read and alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from opslib.changes import Kind
from opslib.files import places
from opslib.files.copying import PUT, TAKE, Wanted
from opslib.files.places import COPY
from opslib.gate.plan import Draft, Observed, Risk, Target

if TYPE_CHECKING:
    from opslib.config import Environment

_EFFECT = {
    COPY: "nobody notices: the bucket is only read",
    places.LIVE: "who opens the file finds it again",
}
_BLAST = {
    COPY: "users notice nothing: the copy is written to, the bucket is only read",
    places.LIVE: "one file comes back; nothing that is there is touched",
}
_ABSENT = {"exists": False}
_ARCHIVED = "users find it no more; the copy has it"
_GONE = "users no longer find these files in the bucket; the copy has each of them, byte for byte"
_BACK = ("Each file is put back from the copy, if nothing is there.",)
_MIRROR = ("A job that also removes from the copy what the bucket lacks takes them for good: stop it first.",)
_UNDO = (
    "Each file is removed again, if it is still what was put there and the other side has it too.",
    "S3 itself refuses where it is another one by then. Supabase and folders take no condition: there it is"
    " read right before, and what somebody writes within that moment goes with it.",
)


def draft(env: Environment, wanted: Sequence[Wanted]) -> Draft | None:
    """Propose to copy files; None where none is wanted.

    Args:
        env: where.
        wanted: the files, as they were read; those with a reason are left out and said.
    """
    if not wanted:
        return None
    side, good = wanted[0].side, [one for one in wanted if not one.reason]
    if wanted[0].archived:
        return _archiving(env, wanted, good)
    direction = f"to the copies of {env.system.name}" if side == COPY else f"back to {env.system.name}"
    return Draft(
        kind="files",
        title=f"Copy {_counted(good)} {direction}",
        targets=tuple(_target(one) for one in good),
        risk=Risk.MEDIUM,
        blast=_BLAST[side],
        numbers=_numbers(good),
        undo=_UNDO,
        left_out=_left_out(wanted),
    )


def _archiving(env: Environment, wanted: Sequence[Wanted], good: Sequence[Wanted]) -> Draft:
    return Draft(
        kind="files",
        title=f"Archive {_counted(good)} of {env.system.name}: in the copy alone from then on",
        targets=tuple(_archived(one) for one in good),
        risk=Risk.HIGH,
        blast=_GONE,
        numbers=_numbers(good),
        undo=_BACK,
        not_undoable=_MIRROR,
        left_out=_left_out(wanted),
    )


class Files(Kind):
    """The kind of change: reads what is at the place."""

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = False
    PATIENCE_S: ClassVar[float] = 10.0

    def observe(self, target: Target) -> Observed:
        """Read the file where it is to be: exists, size, sha256.

        Raises:
            SourceError: it cannot be read.
        """
        at = target.identity
        place = places.of(self._means.env, at["bucket"], at["side"])
        if str(place) != at["place"]:
            return Observed({}, text=f"{at['bucket']} leads to {place} now")
        found = place.content(at["key"])
        if found is None:
            return Observed({"exists": False}, text="not there")
        values = {"exists": True, "size": len(found.data), "sha256": found.sha256}
        return Observed(values, text=f"{len(found.data)} bytes, sha256 {found.sha256[:12]}")


KIND = Files


def _target(one: Wanted) -> Target:
    there = "to the copy" if one.side == COPY else "back into the bucket"
    return Target(
        name=f"{one.bucket}/{one.key} {there}",
        identity=one.identity,
        before=_ABSENT,
        after=_as_read(one),
        act=one.work(PUT),
        undo=one.work(TAKE),
        effect=_EFFECT[one.side],
    )


def _archived(one: Wanted) -> Target:
    return Target(
        name=f"{one.bucket}/{one.key} out of the bucket",
        identity=one.identity,
        before=_as_read(one),
        after=_ABSENT,
        act=one.work(TAKE),
        undo=one.work(PUT),
        effect=_ARCHIVED,
    )


def _as_read(one: Wanted) -> dict[str, Any]:
    return {"exists": True, "size": one.size, "sha256": one.sha256}


def _counted(good: Sequence[Wanted]) -> str:
    return f"{len(good)} file{'s' * (len(good) != 1)}"


def _numbers(good: Sequence[Wanted]) -> dict[str, int]:
    return {"files": len(good), "bytes": sum(one.size for one in good)}


def _left_out(wanted: Sequence[Wanted]) -> dict[str, str]:
    return {f"{one.bucket}/{one.key}": one.reason for one in wanted if one.reason}
