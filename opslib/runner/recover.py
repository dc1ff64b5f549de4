"""Take up what a runner left behind that was killed, or could not write its record.

The record of a killed one has verdict unknown; that of one that had ended has the verdict it came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.errors import OpsError
from opslib.runner import notebooks
from opslib.runner.request import Ending, Outcome
from opslib.runner.spool import Spool, abandoned

if TYPE_CHECKING:
    from opslib.masking import Masker

INTERRUPTED = Ending("interrupted", "the runner was killed before the notebook ended; what was done is kept")


def sweep(archive: Path) -> list[Outcome]:
    """Publish the runs whose runner died, into the archive that each was meant for.

    Two sweeps at once are safe: each spool is locked by the one that takes it. A spool that cannot be
    published now (its archive is away) stays for the next sweep.

    Args:
        archive: used for a run that died before it had said where its record belongs.

    Returns:
        The outcomes of the runs that were taken up.
    """
    with abandoned() as spools:
        found = [_publish(spool, archive) for spool in spools]
    return [outcome for outcome in found if outcome]


def _publish(spool: Spool, archive: Path) -> Outcome | None:
    from opslib.runner import seal

    try:
        intent = {"archive": str(archive), **spool.intent()}
    except (OSError, ValueError):
        # Killed within its first milliseconds, nothing was started; or else what is left may be of use.
        if spool.notebook.exists():
            spool.set_aside()
        else:
            spool.remove()
        return None
    try:
        outcome = None if seal.taken_over(intent) else _sealed(spool, intent)
    except OpsError:
        return None
    spool.remove()
    return outcome


def _sealed(spool: Spool, intent: dict[str, Any]) -> Outcome:
    from opslib.runner import seal

    masker = _masker(intent)
    masker.resume(spool.masked())
    ending = spool.ending() or INTERRUPTED
    return seal.seal(_notebook(spool), intent, ending, masker, finished=spool.last_sign())


def _masker(intent: dict[str, Any]) -> Masker:
    """Return what masks the page of a run; its notebook was masked before it was kept in the spool."""
    from opslib import config
    from opslib.masking import Masker
    from opslib.runner.secrets import masking_for

    try:
        return masking_for(config.load_system(intent["system"]).environment(intent["environment"]))()
    except OpsError:
        return Masker()  # of a system that is gone nothing is known any more


def _notebook(spool: Spool) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(spool.notebook.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return notebooks.empty()
