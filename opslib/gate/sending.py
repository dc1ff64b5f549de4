"""An act is carried out: by a vendor, by the database in one go or in steps, or by work of our own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opslib.acts import Opening, Statement, Work
from opslib.gate import steps
from opslib.pg import several, sql

if TYPE_CHECKING:
    from opslib.changes import Kind, Means
    from opslib.gate.plan import Target
    from opslib.pg import Database


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
        _work(way.act, opening(), means)
    elif not isinstance(way.act, Statement):
        means.vendor(way.act.source).act(opening())
    elif kind.STEPS:
        _in_steps(way, tuple(sql.load(way.act.name).step), opening, kind, means, note)
    else:
        found = means.database().act(opening())
        # A command answers without columns, whatever it has done: only looking tells.
        if not found and sql.load(way.act.name).returns:
            raise Moved("it moved at the last moment: the database found nothing to do")


def _work(act: Work, opening: Opening, means: Means) -> None:
    # Whoever changes a database need not wait until the clients of all stores are loaded.
    from opslib.backup import restoring
    from opslib.files import copying

    carry_out = copying.carry_out if act.name in (copying.PUT, copying.TAKE) else restoring.carry_out
    carry_out(opening, means.env)


def _in_steps(
    way: Target, narrows: Sequence[str], opening: Callable[[], Opening], kind: Kind, means: Means,
    note: Callable[[str], None],
) -> None:  # fmt: skip
    noted = 0.0
    with several.opened(means.database(), means.settings.get("connections")) as databases:
        hands = [_hand(database, opening) for database in databases]
        for text in steps.taken(hands, kind, way, narrows):
            if time.monotonic() - noted >= steps.NOTED_S:
                note(text)
                noted = time.monotonic()


def _hand(database: Database, opening: Callable[[], Opening]) -> steps.Hand:
    return lambda stretch: database.act(opening(), stretch)
