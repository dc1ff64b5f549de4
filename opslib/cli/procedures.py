"""`opslib list`: which procedure is there for a symptom."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output

if TYPE_CHECKING:
    from opslib.catalog import Procedure
    from opslib.config import Environment


@click.command("list")
@click.argument("symptom", nargs=-1)
@options.system
@options.environment
@options.as_json
def list_command(symptom: tuple[str, ...], system: str | None, environment: str | None, as_json: bool) -> int:
    """List procedures, by symptom.

    All words must be in a procedure's title, name or symptoms. With --system, those that it
    cannot use are shown with the reason.

    \b
    opslib list
    opslib list too many connections
    opslib list --system kulti --env production
    """
    from opslib import catalog

    loaded = catalog.load()
    found = loaded.for_symptom(" ".join(symptom))
    target = _target(system, environment) if system else None
    if as_json:
        problems = [problem.message for problem in loaded.problems.values()]
        output.emit({"procedures": [_as_dict(p, target) for p in found], "problems": problems})
        return 0
    _print(found, target)
    for problem in loaded.problems.values():
        output.note(f"opslib: left out: {problem.text()}")
    return 0


def _target(system: str, environment: str | None) -> Environment:
    from opslib.config import load_system

    return load_system(system).environment(options.chosen_environment(environment))


def _print(found: tuple[Procedure, ...], target: Environment | None) -> None:
    if not found:
        output.say("No procedure names that symptom. Try fewer words, or start with: opslib list")
        return
    columns = ["PROCEDURE", "WHEN", "SEVERITY", "CHANGES", "MINUTES", *(["HERE"] if target else [])]
    for folder in dict.fromkeys(procedure.folder for procedure in found):
        rows = [_row(p, target) for p in found if p.folder == folder]
        output.table(columns, rows, title=folder)


def _row(procedure: Procedure, target: Environment | None) -> list[str]:
    changes = "yes" if procedure.changes else "no"
    row = [procedure.id, procedure.title, procedure.severity, changes, f"{procedure.minutes:g}"]
    return [*row, "; ".join(procedure.missing(target)) or "ready"] if target else row


def _as_dict(procedure: Procedure, target: Environment | None) -> dict[str, Any]:
    found = {**asdict(procedure), "path": str(procedure.path)}
    return {**found, "missing": list(procedure.missing(target))} if target else found
