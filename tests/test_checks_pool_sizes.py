"""Whether the app's pools fit into the server, before they are full."""

from __future__ import annotations

import pytest

from opslib import frames
from opslib.checks import pool_sizes
from opslib.config.parts import Pool
from opslib.pg import frame, sql
from opslib.verdict import Status

STATEMENT = sql.load("connections_headroom")
COLUMNS = [column.name for column in STATEMENT.returns]
ROOM = frame.build(STATEMENT, COLUMNS, [[97 if name == "usable" else 0 for name in COLUMNS]])


def pool(size: int, overflow: int = 0, instances: int | None = None) -> Pool:
    """Return a pool as a system's file gives it."""
    return Pool(size=size, overflow=overflow, instances=instances, source="a runbook")


@pytest.mark.parametrize(
    "pools, status, seen",
    [
        ([pool(20, 30)], Status.OK, "50 for each process: 1 process fits"),
        ([pool(20, 30), pool(5)], Status.OK, "55 for each process: 1 process fits"),
        ([pool(5, 5)], Status.OK, "10 for each process: 9 processes fit"),
        ([pool(90, 30)], Status.WARNING, "120 for each process: 0 processes fit"),
        ([pool(20, 30, 1), pool(5, 0, 4)], Status.OK, "up to 70 from all processes"),
        ([pool(20, 30, 2)], Status.WARNING, "up to 100 from all processes"),
    ],
)
def test_pools_are_held_against_the_slots_that_can_be_used(
    pools: list[Pool], status: Status, seen: str
) -> None:
    """Size and overflow count for every process; without their number, how many fit is said."""
    found = pool_sizes.planned(dict(zip("ab", pools, strict=False)), ROOM)
    assert (found.status, found.observed, found.limit) == (status, seen, "97 slots")
    assert bool(found.why) is (status is Status.WARNING)


def test_without_a_pool_in_the_file_it_is_skipped_and_without_a_server_unknown() -> None:
    """Neither is a clean bill."""
    assert pool_sizes.planned({}, ROOM).status is Status.SKIPPED
    blind = pool_sizes.planned({"a": pool(1)}, frames.unavailable(COLUMNS, "door direct: refused"))
    assert (blind.status, blind.why) == (Status.UNKNOWN, "door direct: refused")
