"""Restoring a backup into an empty database that is named, and never into the one that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from opslib.acts import Work
from opslib.backup import restoring, store
from opslib.backup.restoring import WORK, Place
from opslib.changes import Kind
from opslib.gate.plan import Draft, Observed, Risk, Target

if TYPE_CHECKING:
    from opslib.backup.manifest import Manifest

_FINAL = ("Nothing empties the target again: whoever made it drops it.",)


def draft(backup: Manifest | None, digest: str, place: Place | None) -> Draft | None:
    """Propose to restore a backup; None where it may not be.

    Args:
        backup: the chosen one.
        digest: over its manifest.
        place: the target, as it was seen.
    """
    if backup is None or place is None or restoring.reason(place, backup):
        return None
    identity = {"target": place.target, "database": place.database, "server": place.server}
    holds = backup.holds
    one = Target(
        name=f"database {place.database} at {place.server}",
        identity=identity,
        before={"objects": 0},
        after={"objects": restoring.expected(backup)},
        act=Work(
            WORK,
            {"backup": backup.id, "origin": backup.origin, "digest": digest, **identity, "lost": place.lost},
        ),
        effect=f"it holds {holds.rows} rows of {len(holds.tables)} tables, as of {holds.taken_at}",
    )
    return Draft(
        kind="restore",
        title=f"Restore backup {backup.id} of {backup.origin} into {place.database}",
        targets=(one,),
        risk=Risk.MEDIUM,
        blast=f"the target alone is written to, in one transaction: all of it, or nothing{_unseen(place)}",
        numbers={"tables": len(holds.tables), "rows": holds.rows, "bytes of the backup": backup.bytes},
        not_undoable=_FINAL,
        settings={"backup": backup.id, "origin": backup.origin},
    )


class Restores(Kind):
    """The kind of change: looks at how much is in the target."""

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = True
    PATIENCE_S: ClassVar[float] = 600.0

    def observe(self, target: Target) -> Observed:
        """Look at the target.

        Returns:
            objects: how many things are in it. A restore is one transaction, so there are none or all.
        """
        env, given = self._means.env, self._means.settings
        backup = restoring.chosen(store.of(env), *(str(given[name]) for name in ("backup", "origin")))
        place = restoring.examine(restoring.door_of(env, str(target.identity["target"])), backup)
        # Counted as the plan counts them; `holds` has other kinds, too.
        text = f"{place.database} holds {place.objects} objects" if place.objects else "it is empty"
        text = "a restore into it is under way" if place.busy else text
        return Observed({"objects": place.objects}, pending=place.busy, text=text)


KIND = Restores


def _unseen(place: Place) -> str:
    return f"; whether it is in use could not be asked: {'; '.join(place.unseen)}" if place.unseen else ""
