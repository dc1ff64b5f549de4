"""The server that a backup is tried on: for want of nothing that the machine can give may a restore break."""

from __future__ import annotations

from contextlib import AbstractContextManager

from opslib.backup import locks
from opslib.backup.manifest import Holds
from opslib.config.environment import Door
from opslib.sandbox import postgres
from opslib.sandbox.scratch import scratch

_FEWEST_LOCKS = 64  # for each session, which is what servers have unless they are told otherwise


def server(holds: Holds) -> AbstractContextManager[Door]:
    """Return what yields the door to an empty database that is made for what a backup holds.

    Raises:
        SandboxError: as for `scratch`.
    """
    each = max(_FEWEST_LOCKS, locks.for_each(holds, int(postgres.SETTINGS["max_connections"])))
    return scratch(holds.major, holds.roles, locale=holds.locale, settings={locks.SETTING: str(each)})
