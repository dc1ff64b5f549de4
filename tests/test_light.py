"""A diagnosis is no burden: on a sick database it says what it could see, and goes."""

from __future__ import annotations

import base64
import json
import re
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
SICK = ("lock-storm", "connections-exhausted-idle")
DIAGNOSES = [one for one in catalog.load(ROOT / "notebooks").procedures if one.needs.database]
# What is promised of a table that is read from its beginning stands in the notebook.
SAYS_SO = re.compile(
    "reads every row|the whole table|each view whole|scans users' tables|read through once"
    "|the first pages of tables|reads the ledger in the database"
)


def where(procedure: Procedure) -> str:
    """Return the system that a procedure looks at unless it is told another."""
    (system,) = (one.default for one in procedure.parameters if one.name == "system")
    return str(system)


def stated(procedure: Procedure, archive: Path) -> dict[str, Any]:
    """Run a procedure in the sandbox and return what its record states."""
    outcome = run(Request(procedure, where(procedure), "sandbox", {}, archive=archive))
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
    control.backups(where(procedure))  # those of the nights before
    control.break_(scenario, where(procedure))
    told = stated(procedure, tmp_path)
    assert told["error"] is None, told["error"]
    assert {found["status"] for found in told["findings"]} - {"unknown", "skipped"}
    assert len(entered(told)) == len(set(entered(told))), entered(told)


@pytest.mark.parametrize("procedure", DIAGNOSES, ids=lambda procedure: procedure.id)
def test_no_table_is_read_from_end_to_end_unless_the_notebook_says_so(
    sandbox: object, tmp_path: Path, procedure: Procedure
) -> None:
    """On a table of a hundred million rows that alone would be an incident."""
    text = procedure.path.read_text(encoding="utf-8")
    if SAYS_SO.search(text.replace("**", "")):
        pytest.skip("says so")
    scanned = "select relname, seq_scan from pg_stat_user_tables"
    with psycopg.connect(control.status()["databases"][where(procedure)]["admin"], autocommit=True) as admin:
        before: dict[str, int] = dict(admin.execute(scanned).fetchall())
        stated(procedure, tmp_path)
        after: dict[str, int] = dict(admin.execute(scanned).fetchall())
    assert after == before
