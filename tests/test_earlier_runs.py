"""What a notebook is told of earlier runs of its procedure."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from opslib import config
from opslib.run import history
from tests.kept import NOW, found, keep

KULTI = config.load_system("kulti").environment("sandbox")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A run each half day for a fortnight, and then one each half hour."""
    hours = [*range(14 * 24, 0, -12), *(half / 2 for half in range(20, 0, -1))]
    for number, ago in enumerate(hours):
        seen = [found("size", observed=f"{number} MB")]
        keep(tmp_path, f"run-{number:03}", timedelta(hours=ago), environment="sandbox", findings=seen)
    return tmp_path


def ages(archive: Path, *, days: int) -> list[int]:
    """Return how many whole days ago the last ten runs were, as a notebook is told of them."""
    told = history.series(archive, "site-down", KULTI, "size", 10, days)
    assert told["finished_at"].is_monotonic_increasing and told["observed"].is_monotonic_increasing
    return [(NOW - moment).days for moment in told["finished_at"]]


def test_frequent_runs_do_not_push_the_past_out_of_sight(archive: Path) -> None:
    """Ten runs are five hours, or with a day between them ten days."""
    assert ages(archive, days=0) == [0] * 10
    back = ages(archive, days=1)
    assert len(back) == 10 and back[0] >= 9 and max(back) <= 14
    assert all(older > newer for older, newer in pairwise(back))
