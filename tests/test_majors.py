"""Each diagnosis of a database on every server that is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opslib import catalog
from opslib.catalog import Procedure
from opslib.kernels import client
from opslib.runner.execute import Request, run
from opslib.sandbox import control
from tests import majors
from tests.statements import SYSTEM

ROOT = Path(__file__).parents[1]
DIAGNOSES = [one for one in catalog.load(ROOT / "notebooks").procedures if one.needs.database]
# Some fit one system alone.
WHERE = {one.id: SYSTEM if SYSTEM in (one.systems or (SYSTEM,)) else one.systems[0] for one in DIAGNOSES}
WHERE["archive-rows"] = "voiceaitraining"  # where no rule says what is old, nothing is looked at
OTHERS = [major for major in majors.folders() if major != majors.PACKAGED]


@pytest.fixture(scope="module", params=OTHERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose database is of another major version."""
    with pytest.MonkeyPatch.context() as patch:
        for programs in ("OPSLIB_PG_BIN", "OPSLIB_PG_CLIENT_BIN"):
            patch.setenv(programs, majors.folders()[request.param])
        patch.setenv("OPSLIB_HOME", str(tmp_path_factory.mktemp("home")))
        with client.owned(), control.ensure(*set(WHERE.values()), scale=0.1):
            yield request.param


@pytest.mark.parametrize("procedure", DIAGNOSES, ids=lambda procedure: procedure.id)
def test_a_healthy_database_is_found_well_on_each_major_version(
    server: str, tmp_path: Path, procedure: Procedure
) -> None:
    """Catalogs and rights differ; what the procedure says of a good day must not."""
    document = run(Request(procedure, WHERE[procedure.id], "sandbox", {}, archive=tmp_path)).document
    assert document["verdict"] == "ok", document["findings"]
