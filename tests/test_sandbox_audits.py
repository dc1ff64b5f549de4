"""What the audits' scenarios break, they break on every system that they name, and mend without a trace."""

from __future__ import annotations

from typing import Any

import pytest

from opslib.sandbox import control
from tests.answers import administrator

SCENARIOS = {
    scenario.id: scenario
    for scenario in control.scenarios()
    if {"rls-audit", "access-audit", "duplicates-and-integrity", "slow-queries"} & set(scenario.expects)
}
# Of what an app asks, only the server's statistics tell, and no statistics can be put back.
ASKS_ONLY = ("n-plus-one",)
# Relations and their row security, policies, functions, roles, settings, numbers of sequences.
TRACES = (
    "select relnamespace::regnamespace, relname, relkind, relrowsecurity, relacl from pg_class order by 1, 2",
    "select polrelid::regclass, polname, polcmd from pg_policy order by 1, 2",
    "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace order by 1",
    "select opcname from pg_opclass where opcnamespace = 'public'::regnamespace order by 1",
    "select rolname, rolsuper, rolcreaterole from pg_roles order by 1",
    "select setdatabase, setrole, setconfig from pg_db_role_setting order by 1, 2",
    "select sequencename from pg_sequences where last_value > 1000000000 order by 1",
)
COUNTED = ("stacks", "login_attempts", "email_queue", "error_logs", "prompt_atoms", "credit_transactions")


def traces(system: str) -> list[Any]:
    """Return what a scenario could leave behind in a system's database."""
    with administrator(system) as admin:
        found = [admin.execute(text.encode()).fetchall() for text in TRACES]
        for table in COUNTED:
            there = admin.execute("select to_regclass(%s) is not null", (table,)).fetchone()
            if there == (True,):
                found.append(admin.execute(f"select count(*) from {table}".encode()).fetchall())
    return [[tuple(map(str, row)) for row in rows] for rows in found]


def test_there_are_scenarios_for_each_audit() -> None:
    """Otherwise the test below would pass for nothing."""
    assert len(SCENARIOS) >= 10


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_can_be_made_on_every_system_that_it_names_and_leaves_no_trace(sandbox: object, name: str) -> None:
    """Healed means as it was, not merely well."""
    systems = SCENARIOS[name].systems or tuple(control.status()["databases"])
    before = {system: traces(system) for system in systems}
    assert {system for _, system in control.break_(name)} == set(systems)
    broken = all(traces(system) != before[system] for system in systems)
    assert broken or name in ASKS_ONLY, "nothing was broken"
    control.heal(name)
    assert {system: traces(system) for system in systems} == before
