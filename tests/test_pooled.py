"""Each diagnosis of a database through a pooler, behind which sessions are shared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opslib.catalog import Procedure
from opslib.runner.execute import Request, run
from opslib.sandbox.state import path as place
from tests.statements import SYSTEM
from tests.test_majors import DIAGNOSES, WHERE
from tests.test_pg_pooler import PROGRAM, pooler

__all__ = ["pooler"]


@pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine")
@pytest.mark.parametrize("procedure", DIAGNOSES, ids=lambda procedure: procedure.id)
def test_a_healthy_database_is_found_well_through_a_pooler(
    pooler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, procedure: Procedure
) -> None:
    """The only door may be one behind which sessions are shared."""
    state, system = json.loads(place().read_text()), WHERE[procedure.id]
    state["databases"][system] = {"pooler": pooler.replace(f"dbname={SYSTEM}", f"dbname={system}")}
    home = tmp_path / "home" / "sandbox"
    home.mkdir(parents=True)
    for kept in place().parent.iterdir():
        (home / kept.name).symlink_to(kept)
    (home / place().name).unlink()
    (home / place().name).write_text(json.dumps(state))
    monkeypatch.setenv("OPSLIB_HOME", str(home.parent))
    document = run(Request(procedure, system, "sandbox", {}, archive=tmp_path / "archive")).document
    # A dump needs a session of its own: through a pooler no backup can be taken, and that is said.
    wanted = "critical" if procedure.id == "backup" else "ok"
    assert document["verdict"] == wanted, [f["why"] for f in document["findings"]]
