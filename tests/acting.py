"""Plan, approve and apply in the running sandbox, as a person does on a command line."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from opslib import catalog
from opslib.cli.app import cli
from opslib.runner import attempt
from opslib.runner.request import Request
from opslib.sandbox import control

ROOT = Path(__file__).parents[1]
CANARY = "sk-kanarienvogel-7d1f0c"
_SCHEMA = "select extnamespace::regnamespace from pg_extension where extname = 'pg_stat_statements'"
_ACTS = """select coalesce(sum(s.rows), 0)::int from {}.pg_stat_statements s
join pg_roles r on r.oid = s.userid where r.rolname = 'opslib_operator'
and s.query ~ 'pg_(terminate|cancel)_backend|update public.feature_flags'"""


@dataclass(frozen=True)
class Case:
    """One procedure that changes something, and a fault that it mends.

    Args:
        procedure: its id.
        scenario: the fault.
        system: where.
        parameters: what a person gives besides.
        vendors: where its acts arrive; `database` stands for the system's own.
        secret: it needs a value, which a person gives on stdin.
    """

    procedure: str
    scenario: str
    system: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    vendors: tuple[str, ...] = ("vercel",)
    secret: bool = False

    def __str__(self) -> str:
        return f"{self.procedure}-{self.scenario}"


def ready(patch: pytest.MonkeyPatch, archive: Path) -> None:
    """Have an archive, and a value to give."""
    patch.setenv("OPSLIB_ARCHIVE", str(archive))
    patch.setenv("OPSLIB_INPUT", CANARY)


def perform(procedure: str, system: str, archive: Path, **parameters: Any) -> dict[str, Any]:
    """Run a procedure in the sandbox and return its document."""
    chosen = catalog.load(ROOT / "notebooks").get(procedure)
    target = attempt.target(system, "sandbox")
    request = Request(chosen, system, "sandbox", chosen.parse(parameters), archive=archive)
    return attempt.attempt(request, target)


def planned(case: Case, archive: Path) -> dict[str, Any]:
    """Make a plan, approve it, and return the document of the run that made it."""
    document = perform(case.procedure, case.system, archive, **case.parameters)
    assert document["plan"], document["findings"]
    approve(document["plan"]["digest"])
    return document


def approve(digest: str, *words: str) -> None:
    """Approve a plan on the command line."""
    command = ["approve", digest, "--reason", "a test", "--json", *words]
    assert cli.main(command, standalone_mode=False) == 0


def applied(case: Case, document: Mapping[str, Any], archive: Path) -> dict[str, Any]:
    """Apply a plan, and return the document of that run."""
    approval = {"dry_run": False, "approval": document["plan"]["digest"]}
    return perform(case.procedure, case.system, archive, **case.parameters, **approval)


def arrived(case: Case) -> int:
    """Return how many acts have arrived at the servers so far."""
    status = control.status()
    found = 0
    for vendor in case.vendors:
        if vendor == "database":
            with psycopg.connect(status["databases"][case.system]["admin"], autocommit=True) as admin:
                found += _ended(admin)
        else:
            with urllib.request.urlopen(
                f"{status['vendors'][vendor]}/rehearsal/writes", timeout=10
            ) as answer:
                found += sum(write["status"] < 300 for write in json.load(answer))
    return found


def _ended(admin: psycopg.Connection[Any]) -> int:
    """Return on how many rows the operator's writing statements have acted, as the server counts."""
    schema = admin.execute(_SCHEMA).fetchone()
    assert schema
    query = _ACTS.format(sql.Identifier(schema[0]).as_string())
    row = admin.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def states(document: Mapping[str, Any]) -> list[str]:
    """Return what became of each target, in their order."""
    return [row["state"] for row in document["changed"]]
