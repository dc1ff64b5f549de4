"""Each diagnosis of a database on every server that is at hand, and through a pooler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from opslib import catalog
from opslib.catalog import Procedure
from opslib.kernels import client
from opslib.runner.execute import Request, run
from opslib.sandbox import control
from opslib.sandbox.state import path as place
from tests import majors
from tests.statements import SYSTEM
from tests.test_matrix import failing
from tests.test_pg_pooler import PROGRAM, pooler

__all__ = ["pooler"]

ROOT = Path(__file__).parents[1]
DIAGNOSES = [one for one in catalog.load(ROOT / "notebooks").procedures if one.needs.database]
OTHER = "kulti"
# What copies a whole database needs the server itself, and says so; what is for another system is not here.
POOLED = [
    one for one in DIAGNOSES if one.path.parent.name != "backup" and SYSTEM in (one.systems or (SYSTEM,))
]
OTHERS = [major for major in majors.folders() if major != majors.PACKAGED]


@pytest.fixture(scope="module", params=OTHERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose database is of another major version."""
    with pytest.MonkeyPatch.context() as patch:
        for programs in ("OPSLIB_PG_BIN", "OPSLIB_PG_CLIENT_BIN"):
            patch.setenv(programs, majors.folders()[request.param])
        patch.setenv("OPSLIB_HOME", str(tmp_path_factory.mktemp("home")))
        with client.owned(), control.ensure(SYSTEM, OTHER, scale=0.1):
            yield request.param


def fitting(procedure: Procedure) -> str:
    """Return a system that a procedure can look at."""
    return next(one for one in (SYSTEM, OTHER) if one in (procedure.systems or (one,)))


@pytest.mark.parametrize("procedure", DIAGNOSES, ids=lambda procedure: procedure.id)
def test_a_healthy_database_is_found_well_on_each_major_version(
    server: str, tmp_path: Path, procedure: Procedure
) -> None:
    """Catalogs and rights differ; what the procedure says of a good day must not."""
    document = run(Request(procedure, fitting(procedure), "sandbox", {}, archive=tmp_path)).document
    assert document["verdict"] == "ok", failing(document)


@pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine")
@pytest.mark.parametrize("procedure", POOLED, ids=lambda procedure: procedure.id)
def test_a_healthy_database_is_found_well_through_a_pooler(
    pooler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, procedure: Procedure
) -> None:
    """The only door may be one behind which sessions are shared."""
    state = json.loads(place().read_text())
    state["databases"][SYSTEM] = {"pooler": pooler}
    (tmp_path / "home" / "sandbox").mkdir(parents=True)
    (tmp_path / "home" / "sandbox" / "migrations").symlink_to(place().parent / "migrations")
    (tmp_path / "home" / "sandbox" / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    document = run(Request(procedure, SYSTEM, "sandbox", {}, archive=tmp_path / "archive")).document
    assert document["verdict"] == "ok", failing(document)
