"""What stands for a run of which there is no record: unknown, with the reason.

The others beside it go on, so it needs a result like theirs.
"""

from __future__ import annotations

from asyncio import CancelledError

from opslib import home, ids
from opslib.errors import ArchiveError, OpsError, ProcedureError
from opslib.masking import Masker, registered
from opslib.runner import crash, seal
from opslib.runner.request import Ending, Outcome, Request

NOT_KEPT = "not-kept"
NOT_RUN = "not-run"
INTERRUPTED = "interrupted"


def outcome(request: Request, error: BaseException) -> Outcome:
    """Return the outcome of a run that ended with an error instead of a record.

    Args:
        request: what was asked.
        error: what it raised; the traceback of a fault of our own is kept in a log.

    Returns:
        Verdict unknown; `document["record"]` is empty, `record` is where its spool is or would be.
    """
    ending = Ending(_cause(error), Masker(registered()).mask(_text(error)), error=type(error).__name__)
    asked = {
        "run_id": request.run_id,
        "procedure": request.procedure.id,
        "system": request.system,
        "environment": request.environment,
        "started_at": ids.stamp(ids.now()),
    }
    spool = home.private("spool") / request.run_id
    return Outcome.of(seal.unkept(asked, ending), spool)


def _cause(error: BaseException) -> str:
    if isinstance(error, ArchiveError):
        return NOT_KEPT
    if isinstance(error, CancelledError):
        return INTERRUPTED
    return "procedure-broke" if isinstance(error, ProcedureError) else NOT_RUN


def _text(error: BaseException) -> str:
    if isinstance(error, OpsError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, CancelledError):
        return "the run was stopped"
    return "; ".join(crash.told(error))
