"""`opslib history`, `show`, `report`: what was found before."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from opslib.cli import options, output, verdicts
from opslib.errors import ArchiveError
from opslib.verdict import Status

_VERDICTS = [str(status) for status in Status if status is not Status.SKIPPED]


@click.command("history")
@click.argument("procedure", required=False)
@options.system
@click.option("--env", "-e", "environment", metavar="NAME", help="Only runs in this environment.")
@click.option("--verdict", type=click.Choice(_VERDICTS), help="Only runs that ended so.")
@click.option(
    "--limit", "-n", default=20, show_default=True, type=click.IntRange(1, 10000), help="How many at most."
)
@options.archive
@options.as_json
def history_command(
    procedure: str | None,
    system: str | None,
    environment: str | None,
    verdict: str | None,
    limit: int,
    archive: str | None,
    as_json: bool,
) -> int:
    """List earlier runs, the newest first.

    \b
    opslib history --system kulti --verdict critical
    opslib history database-connections -n 5
    """
    from opslib.archive.index import Index

    index = Index(options.opened_archive(archive))
    asked = {"procedure": procedure, "system": system, "environment": environment, "verdict": verdict}
    runs = index.find(**{name: value for name, value in asked.items() if value}, limit=limit)
    if as_json:
        output.emit({"runs": runs})
    elif not runs:
        output.say("No run is kept that fits.")
    else:
        output.table(("WHEN (UTC)", "VERDICT", "PROCEDURE", "SYSTEM", "CAUSE", "BY", "RUN"), map(_row, runs))
    return 0


@click.command("show")
@click.argument("run")
@options.archive
@options.as_json
def show_command(run: str, archive: str | None, as_json: bool) -> int:
    """Show one earlier run; its id may be cut short.

    \b
    opslib show 019aa3c1
    """
    document = _get(run, archive)
    output.emit(document) if as_json else verdicts.show(document)
    return 0


@click.command("report")
@click.argument("run", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the path, open nothing.")
@options.archive
@options.as_json
def report_command(run: str | None, only_print: bool, archive: str | None, as_json: bool) -> int:
    """Open the report of a run (default: the newest).

    On a terminal it opens in the browser; otherwise its path is printed.

    \b
    opslib report 019aa3c1 --print
    """
    document = _get(run, archive)
    page = Path(document["record"]) / "run.html"
    if not page.is_file():
        raise ArchiveError(
            f"{page}: the report is not there", hint="see `opslib show` for what is known of the run"
        )
    if as_json:
        output.emit({"run_id": document["run_id"], "report": str(page)})
        return 0
    print(page)
    if sys.stdout.isatty() and not only_print:
        click.launch(page.as_uri())
    return 0


def _get(run: str | None, archive: str | None) -> dict[str, Any]:
    from opslib.archive.index import Index

    index = Index(options.opened_archive(archive))
    if run:
        return dict(index.get(run))
    newest = index.find(limit=1)
    if not newest:
        raise ArchiveError("no run is kept yet", hint="`opslib run PROCEDURE --system NAME` makes the first")
    return dict(newest[0])


def _row(run: dict[str, Any]) -> tuple[Any, ...]:
    when = str(run["started_at"])[:19].replace("T", " ")
    where = f"{run['system']} ({run['environment']})"
    cause = (run.get("cause") or {}).get("id", "")
    return when, Status(run["verdict"]), run["procedure"], where, cause, run.get("actor", ""), run["run_id"]
