"""An act is carried out: by a vendor, by the database in one go or in steps, or by work of our own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from opslib.acts import Opening, Statement, Work
from opslib.backup import restoring
from opslib.files import copying
from opslib.gate import faults, steps

if TYPE_CHECKING:
    from opslib.changes import Kind, Means
    from opslib.gate.plan import Target


class Moved(Exception):
    """A target changed between the last look and the act, which therefore found nothing to do."""


def send(
    way: Target, opening: Callable[[], Opening], kind: Kind, means: Means, note: Callable[[str], None]
) -> None:
    """Carry out the act of a target.

    Args:
        way: the target, or its way back.
        opening: makes a leave for the act; one for each step.
        kind: of the change.
        means: with what it is done.
        note: is told now and then what steps have done.

    Raises:
        Moved: the database found nothing to do.
        OpsError: it failed; of kind `lost`, nobody knows.
    """
    if isinstance(way.act, Work):
        carry_out = copying.carry_out if way.act.name in (copying.PUT, copying.TAKE) else restoring.carry_out
        carry_out(opening(), means.env)
    elif not isinstance(way.act, Statement):
        means.vendor(way.act.source).act(opening())
    elif kind.STEPS:
        _in_steps(way, opening, kind, means, note)
    else:
        found = means.database().act(opening())
        # A command answers without columns, whatever it has done: only looking tells.
        if found.empty and len(found.columns):
            raise Moved("it moved at the last moment: the database found nothing to do")


def _in_steps(
    way: Target, opening: Callable[[], Opening], kind: Kind, means: Means, note: Callable[[str], None]
) -> None:
    database, noted = means.database(), 0.0
    for text in steps.taken(lambda: database.act(opening()), kind, way):
        if time.monotonic() - noted >= steps.NOTED_S:
            note(text)
            noted = time.monotonic()
        faults.reach(faults.STEP)
