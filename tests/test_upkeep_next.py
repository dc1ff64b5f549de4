"""Where upkeep leads: to whoever holds vacuum back first, and nowhere where nothing is left to be done."""

from __future__ import annotations

from pathlib import Path

from opslib.changes import upkeep_tables
from opslib.checks import vacuum
from opslib.config import Limit
from opslib.sandbox import control
from tests.acting import perform
from tests.answers import administrator, answer, monitor

SYSTEM = "kulti"
PCT, AGE = Limit(warning=20, unit="%"), Limit(warning=40, critical=70, unit="%")


def test_rows_that_an_open_transaction_holds_are_not_vacuumed_in_vain(
    sandbox: object, tmp_path: Path
) -> None:
    """Eight tables were vacuumed and called done, and not one transaction id was given back."""
    control.break_("wraparound-near", SYSTEM)
    with monitor(SYSTEM) as asked:
        tended, horizon = asked.table("tended_tables", schema="", name=""), asked.table("xmin_horizon")
    found = vacuum.freezing(tended, AGE, horizon)
    assert {one.next for one in found} == {"database-connections"}
    draft = upkeep_tables.tables(["wraparound-near"], tended, PCT, PCT, AGE, horizon=horizon)
    assert draft is not None and not draft.targets
    said = set(draft.left_out.values())
    assert all("nothing would be frozen: session " in why and "end it first" in why for why in said)
    told = perform("database-health", SYSTEM, tmp_path)
    assert (
        told["next"][0]["procedure"] == "database-connections" and "holds rows of" in told["next"][0]["why"]
    )
    held = [one for one in told["findings"] if one["check"] == "old snapshots"]
    assert [one["status"] for one in held] == ["warning"], "it is younger than an hour, and old all the same"


def test_only_whoever_holds_rows_as_old_is_in_the_way_of_freezing() -> None:
    """A report of a minute is no reason to leave a table alone that is two hundred millions old."""
    row = {"schema": "s", "table_name": "t", "in_progress": "", "locked": False, "toast_dead": 0}
    row |= {"xid_age": 320_000_000, "pct_of_freeze_age": 160.0, "pct_to_wraparound": 15.0, "dead_rows": 0}
    young = {"holder": "session", "name": "7", "owner": "report", "xmin_age": 1_000_000, "since": 60.0}
    tended, horizon = answer("tended_tables", row), answer("xmin_horizon", young)
    draft = upkeep_tables.tables(["wraparound-near"], tended, PCT, PCT, AGE, horizon=horizon)
    assert draft is not None and [target.name for target in draft.targets] == ["vacuum s.t"]
    (found,) = vacuum.freezing(tended, AGE, horizon)
    assert (found.next, found.next_parameters) == ("vacuum-analyze", {"tables": ["s.t"]})


def test_a_table_that_was_vacuumed_leads_nowhere_and_says_that_it_is_left_alone(
    sandbox: object, tmp_path: Path
) -> None:
    """Its file stays as large as it was; whoever followed the link would go round in a circle."""
    control.break_("bloat", SYSTEM)
    told = perform("database-health", SYSTEM, tmp_path)
    assert "vacuum-analyze" in {one["next"] for one in told["findings"] if one["check"] == "bloat"}
    with administrator(SYSTEM) as admin:
        admin.execute(b"vacuum (analyze) import_staging")
    told = perform("database-health", SYSTEM, tmp_path)
    (file,) = [one for one in told["findings"] if one["check"] == "bloat"]
    assert (file["status"], file["next"]) == ("warning", "") and "unless the disk is short" in file["why"]
    (alone,) = [one for one in told["findings"] if one["check"] == "autovacuum of a table"]
    assert "alter table public.import_staging reset (autovacuum_enabled)" in alone["why"]
    assert "vacuum-analyze" not in {step["procedure"] for step in told["next"]}
