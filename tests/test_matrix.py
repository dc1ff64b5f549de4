"""Every procedure against the sandbox: healthy, each way of being broken, blind, and without a trace."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opslib import catalog, config
from opslib.catalog import Procedure
from opslib.runner.execute import Request, run
from opslib.sandbox import control
from opslib.sandbox.scenario import Scenario
from opslib.verdict import Status

ROOT = Path(__file__).parents[1]
PROCEDURES = {procedure.id: procedure for procedure in catalog.load(ROOT / "notebooks").procedures}
SYSTEMS = config.list_systems(ROOT / "parameters")
SCENARIOS = control.scenarios()
# The checklist runs other procedures; it has tests of its own.
SINGLE = [procedure for procedure in PROCEDURES.values() if procedure.id != "checklist"]
EXPECTED = [
    pytest.param(scenario, procedure, id=f"{scenario.id}-{procedure}")
    for scenario in SCENARIOS
    for procedure in scenario.expects
    if procedure in PROCEDURES
]


def perform(procedure: str, system: str, archive: Path) -> dict[str, Any]:
    """Run a procedure in the sandbox and return its document."""
    request = Request(PROCEDURES[procedure], system, "sandbox", {}, archive=archive)
    return run(request).document


def target(scenario: Scenario, procedure: str) -> str:
    """Return a system that the scenario can break and the procedure can look at."""
    candidates = scenario.systems or ("klutr", *SYSTEMS)
    fits = [name for name in candidates if not missing(PROCEDURES[procedure], name)]
    assert fits, f"no system shows {scenario.id} to {procedure}"
    return fits[0]


def missing(procedure: Procedure, system: str) -> tuple[str, ...]:
    """Return why a procedure can't look at a system, if so."""
    return procedure.missing(config.load_system(system, ROOT / "parameters").environment("sandbox"))


def failing(document: dict[str, Any]) -> list[dict[str, str]]:
    """Return the findings that are not ok, for the message of a failed test."""
    return [found for found in document["findings"] if found["status"] not in ("ok", "skipped")]


def traces(system: str) -> object:
    """Return how many rows were ever written in a system's database, and how many relations it has."""
    changed = (
        "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint, "
        "(select count(*) from pg_class) from pg_stat_user_tables"
    )
    with psycopg.connect(control.status()["databases"][system]["admin"], autocommit=True) as admin:
        return admin.execute(changed).fetchone()


def ruled(procedure: Procedure, system: str) -> bool:
    """Tell whether it is said what is good: nobody knows that no row is too old where no rule says so."""
    tables = config.load_system(system, ROOT / "parameters").tables.values()
    return procedure.id != "archive-rows" or any(part.archive_after_days for part in tables)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("procedure", SINGLE, ids=lambda procedure: procedure.id)
def test_a_healthy_system_is_found_well(
    sandbox: object, tmp_path: Path, procedure: Procedure, system: str
) -> None:
    """A procedure that cries wolf on a good day is not believed on a bad one."""
    if missing(procedure, system):
        pytest.skip("needs something that this system does not have")
    before = traces(system)
    document = perform(procedure.id, system, tmp_path)
    assert document["verdict"] == ("ok" if ruled(procedure, system) else "unknown"), failing(document)
    assert document["cause"] is None
    assert traces(system) == before, "a diagnosis reads only: not one row is written"


@pytest.mark.parametrize("scenario, procedure", EXPECTED)
def test_each_scenario_leads_to_its_verdict_and_its_cause(
    sandbox: object, tmp_path: Path, scenario: Scenario, procedure: str
) -> None:
    """Not merely that something is wrong: what."""
    status, cause = scenario.expects[procedure]
    system = target(scenario, procedure)
    control.break_(scenario.id, system)
    document = perform(procedure, system, tmp_path)
    assert document["verdict"] == str(status), failing(document)
    if cause:
        assert document["cause"] is not None, failing(document)
        assert document["cause"]["id"] == cause, document["causes"]
    assert {found["next"] for found in document["findings"]} - {""} <= set(PROCEDURES) - {procedure}
    for step in document["next"]:
        onward, given = PROCEDURES[step["procedure"]], dict(step["parameters"])
        assert (given.pop("system"), given.pop("environment")) == (system, "sandbox")
        assert not missing(onward, system), f"{onward.id} cannot look at {system}"
        onward.parse(given)


def test_every_scenario_is_looked_for_by_some_procedure() -> None:
    """A scenario that nothing must find proves nothing."""
    for scenario in SCENARIOS:
        assert scenario.expects, scenario.id
        assert any(status is not Status.OK for status, _ in scenario.expects.values()), scenario.id


@pytest.fixture
def blind(sandbox: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same environment with every address pointing at a port where nobody listens."""
    state = json.loads((Path(sandbox.home) / "sandbox" / "state.json").read_text())  # type: ignore[attr-defined]
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{reserved.getsockname()[1]}"
        address = f"http://{closed}"
        state["resolver"] = closed
        for group in ("vendors", "status_pages"):
            state[group] = {name: f"{address}/{name}" for name in state[group]}
        for doors in state["databases"].values():
            doors.update(dict.fromkeys(doors, f"postgresql://opslib_monitor:x@{closed}/kulti"))
        state["backups"] = str(tmp_path / "nowhere")
        home = tmp_path / "home"
        (home / "sandbox").mkdir(parents=True)
        (home / "sandbox" / "state.json").write_text(json.dumps(state))
        monkeypatch.setenv("OPSLIB_HOME", str(home))
        yield


@pytest.mark.parametrize("procedure", SINGLE, ids=lambda procedure: procedure.id)
def test_a_procedure_that_can_see_nothing_says_so(blind: None, tmp_path: Path, procedure: Procedure) -> None:
    """Refused everywhere: neither well nor broken is known, only that nobody answered."""
    document = perform(procedure.id, "klutr", tmp_path)
    assert document["verdict"] == "unknown", failing(document)
