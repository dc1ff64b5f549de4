"""Has a server room for the locks of a restore: its one transaction keeps one on all that it makes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opslib.backup import tools

if TYPE_CHECKING:
    from opslib.backup.manifest import Holds
    from opslib.pg.whole import Frozen

SETTING = tools.LOCKS_SETTING
# A table with its TOAST table and the index of that; newer servers take some more.
_TABLE, _FILLED = "table ", "filled "
_OF_TABLE, _BESIDE_VIEW = 3, 2
_PARTED = "partition by "
_ONE = tuple(
    f"{kind} "
    for kind in (
        "index", "sequence", "view", "composite type", "foreign table", "function", "statistics",
    )
)  # fmt: skip
_LARGE = "large objects all"
_TO_SPARE = 2


def needed(holds: Holds) -> int:
    """Return how many locks a restore keeps at least until its end, as far as a manifest tells."""
    large = holds.objects.get(_LARGE, "").partition(" ")[0]
    return sum(_taken(name, said) for name, said in holds.objects.items()) + int(large or 0)


def for_each(holds: Holds, sessions: int) -> int:
    """Return the `SETTING` with which a server of so many sessions has room for them, and to spare."""
    return math.ceil(needed(holds) * _TO_SPARE / sessions)


def lacking(view: Frozen, holds: Holds) -> str:
    """Return why a server has not room for them, and what to set; nothing where it has."""
    found = view.table("lock_room").iloc[0]
    need = needed(holds)
    if need <= found["locks"]:
        return ""
    return (
        f"has room for {found['locks']} locks, and a restore takes {need} or more: raise {SETTING}"
        f" from {found['each']} to {for_each(holds, int(found['sessions']))}, and restart it"
    )


def _taken(name: str, said: str) -> int:
    if name.startswith(_TABLE):
        return 1 if _PARTED in said else _OF_TABLE
    if name.startswith(_FILLED):
        return _BESIDE_VIEW
    return int(name.startswith(_ONE))
