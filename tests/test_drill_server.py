"""What the server of a drill, or a target, lacks is never what a good backup is blamed for."""

from __future__ import annotations

from pathlib import Path

import pytest

from opslib.pg.connect import parameters
from opslib.sandbox.postgres import Account
from tests import majors
from tests.drilled import judged, make, server

ALL = pytest.mark.parametrize("major", majors.folders())


@ALL
def test_a_database_with_tablespaces_comes_back_where_there_are_none(major: str, tmp_path: Path) -> None:
    """They are folders of the server that is lost."""
    with server(major) as door:
        place = Path(parameters(door)["host"]) / "fast"
        place.mkdir(mode=0o700)
        Account.for_servers().own(place)
        make(
            door, f"create tablespace fast location '{place}'",
            "create table t (id int primary key using index tablespace fast) tablespace fast",
            "create table p (id int) partition by range (id) tablespace fast", "insert into t values (1)",
        )  # fmt: skip
        assert judged(door, tmp_path, major) == []
