"""A database that Supabase puts back in place: planned by `past`, and break-glass whatever a plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from opslib.changes import Kind
from opslib.changes.past import started
from opslib.checks.point_in_time import READY, SUPABASE
from opslib.gate.plan import Observed

if TYPE_CHECKING:
    from opslib.gate.plan import Target

_FAILED = ("RESTORE_FAILED", "INIT_FAILED")


class InPlace(Kind):
    """The kind of change at Supabase: looks at the project, and at when its server was started."""

    LOCK: ClassVar[str] = "file"
    CHAINED: ClassVar[bool] = True
    PATIENCE_S: ClassVar[float] = 900.0

    def observe(self, target: Target) -> Observed:
        """Look at the project: status, started, restarted (since the plan was made).

        Raises:
            SourceError: it cannot be seen; while a project is put back, its database cannot.
        """
        status = str(self._means.vendor(SUPABASE).project().iloc[0]["status"])
        if status != READY[SUPABASE]:
            failed = status in _FAILED
            return Observed({"status": status}, not failed, f"the project is {status}", failed)
        since = started(self._means.database().table("server_facts"))
        # Supabase tells nobody what it has put back; that the server started anew, it cannot hide.
        values = {"status": status, "started": since, "restarted": since != target.identity["started"]}
        return Observed(values, text=f"the project is {status}, its server runs since {since}")


KIND = InPlace
