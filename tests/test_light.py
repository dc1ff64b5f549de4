"""A diagnosis is no burden: on a sick database it says what it could see, and goes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opslib import catalog
from opslib.catalog import Procedure
from opslib.evidence.layout import ENVELOPE
from opslib.runner.execute import Request, run
from opslib.sandbox import control

ROOT = Path(__file__).parents[1]
SYSTEM = "kulti"
SICK = ("lock-storm", "connections-exhausted-idle")
DIAGNOSES = [one for one in catalog.load(ROOT / "notebooks").procedures if one.needs.database]
# What is promised of a table that is read from end to end stands in the notebook.
SAYS_SO = ("reads every row", "by reading its first pages")


def fitting(procedure: Procedure) -> str:
    """Return a system that a procedure can look at."""
    return SYSTEM if SYSTEM in (procedure.systems or (SYSTEM,)) else procedure.systems[0]


def stated(procedure: Procedure, archive: Path) -> dict[str, Any]:
    """Run a procedure in the sandbox and return what its record states."""
    outcome = run(Request(procedure, fitting(procedure), "sandbox", {}, archive=archive))
    assert outcome.record is not None
    envelope = json.loads((outcome.record / ENVELOPE).read_text())
    told: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return told


def entered(told: dict[str, Any]) -> list[str]:
    """Return the doors of the database through which a run came in, one for each time."""
    return [call["source"] for call in told["calls"] if call["what"] == "connect" and call["ok"]]


@pytest.mark.parametrize("scenario", SICK)
@pytest.mark.parametrize("procedure", DIAGNOSES, ids=lambda procedure: procedure.id)
def test_on_a_sick_database_a_diagnosis_says_what_it_could_see(
    sandbox: object, tmp_path: Path, procedure: Procedure, scenario: str
) -> None:
    """It comes in once, waits for no lock for long, and something of its answer is of use."""
    control.break_(scenario, fitting(procedure))
    told = stated(procedure, tmp_path)
    assert told["error"] is None, told["error"]
    assert {found["status"] for found in told["findings"]} - {"unknown", "skipped"}
    # Some look at backups alone, and never come in.
    assert len(entered(told)) == len(set(entered(told))) >= (procedure.path.parent.name != "backup")


@pytest.mark.parametrize("procedure", DIAGNOSES, ids=lambda procedure: procedure.id)
def test_no_table_is_read_from_end_to_end_unless_the_notebook_says_so(
    sandbox: object, tmp_path: Path, procedure: Procedure
) -> None:
    """On a table of a hundred million rows that alone would be an incident."""
    text = procedure.path.read_text(encoding="utf-8")
    if any(words in text for words in SAYS_SO):
        pytest.skip("says so")
    scanned = "select relname, seq_scan from pg_stat_user_tables"
    with psycopg.connect(
        control.status()["databases"][fitting(procedure)]["admin"], autocommit=True
    ) as admin:
        before: dict[str, int] = dict(admin.execute(scanned).fetchall())
        stated(procedure, tmp_path)
        after: dict[str, int] = dict(admin.execute(scanned).fetchall())
    assert after == before
