"""Text that is given to a procedure never becomes part of a statement."""

from __future__ import annotations

from pathlib import Path

import pytest

from opslib import catalog
from opslib.catalog import Procedure
from opslib.errors import OpsError
from opslib.runner.execute import Request, run
from tests.test_matrix import SYSTEMS, missing, traces

ROOT = Path(__file__).parents[1]
HOSTILE = """x'; drop table public.credits; select '"; truncate public.credits; --{0}%s$$"""
GIVEN_ELSEWHERE = ("system", "environment", "approval")
DIAGNOSES = [one for one in catalog.load(ROOT / "notebooks").procedures if one.needs.database]
PLACES = [
    pytest.param(procedure, parameter.name, id=f"{procedure.id}-{parameter.name}")
    for procedure in DIAGNOSES
    for parameter in procedure.parameters
    if parameter.type in ("str", "list[str]") and parameter.name not in GIVEN_ELSEWHERE
]


@pytest.mark.parametrize(("procedure", "name"), PLACES)
def test_hostile_text_in_a_parameter_changes_nothing(
    sandbox: object, tmp_path: Path, procedure: Procedure, name: str
) -> None:
    """It is refused before a kernel starts, found to mean nothing, or compared as a value."""
    system = next(one for one in ("kulti", *SYSTEMS) if not missing(procedure, one))
    before = traces(system)
    (kind,) = (one.type for one in procedure.parameters if one.name == name)
    try:
        given = procedure.parse({name: [HOSTILE] if kind == "list[str]" else HOSTILE})
    except OpsError:
        return
    outcome = run(Request(procedure, system, "sandbox", given, archive=tmp_path))
    assert (outcome.document["cause"] or {"id": ""})["id"] != "procedure-broke", outcome.document["findings"]
    assert traces(system) == before
