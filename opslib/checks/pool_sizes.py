"""Do the app's own connection pools, as its file gives them, fit into the server?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from opslib.checks import compare
from opslib.checks.holders import blind, usable
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.config.parts import Pool

_CHECK = "pool sizes"
_EXPECTED = "all pools together ask for no more than the server has"


def planned(pools: Mapping[str, Pool], headroom: pd.DataFrame) -> Finding:
    """Hold size plus overflow, times the number of processes, against the usable slots.

    Where the file does not tell how many processes there are, the finding says how many fit.

    Args:
        pools: the pools in the system's file, each per process.
        headroom: statement `connections_headroom`.
    """
    if not pools:
        return compare.skipped(_CHECK, "the system's file names no connection pool")
    room = usable(headroom)
    if room is None:
        return compare.unknown(_CHECK, blind(headroom), expected=_EXPECTED)
    each = sum(float(pool.size + pool.overflow) for pool in pools.values())
    counts = [pool.instances for pool in pools.values()]
    if None in counts:
        fit = int(room // each) if each else 0
        seen = f"{each:g} for each process: {fit} {'process fits' if fit == 1 else 'processes fit'}"
        return _finding(each > room, seen, room)
    most = sum(float((pool.size + pool.overflow) * (pool.instances or 0)) for pool in pools.values())
    return _finding(most > room, f"up to {most:g} from all processes", room)


def _finding(too_many: bool, seen: str, room: float) -> Finding:
    status = Status.WARNING if too_many else Status.OK
    why = (
        "under load they take every slot: fewer for each process, or a transaction pooler" if too_many else ""
    )
    return Finding(_CHECK, status, "", seen, f"{room:g} slots", _EXPECTED, why)
