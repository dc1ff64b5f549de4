"""`opslib history`, `show`: what was found before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from opslib.cli import asked, options, output, verdicts
from opslib.verdict import Status


@click.command("history")
@click.argument("procedure", required=False)
@asked.filters
@click.option(
    "--limit", "-n", default=20, show_default=True, type=click.IntRange(1, 10000), help="How many at most."
)
@options.archive
@options.as_json
def history_command(
    procedure: str | None, limit: int, archive: str | None, as_json: bool, **given: str | None
) -> int:
    """List earlier runs, the newest first.

    \b
    opslib history --system kulti --verdict critical
    opslib history database-connections --since 7d -n 5
    opslib history --cause lock-storm --since 2026-11-01 --until 2026-11-07
    opslib history --trigger manual --actor ana --json
    """
    from opslib import ids
    from opslib.archive import choosing
    from opslib.archive.index import Index
    from opslib.archive.notes import Notes

    index = Index(options.opened_archive(archive))
    wanted = choosing.chosen(ids.now(), procedure=procedure, **given)
    runs = _witnessed(index.archive, Notes(index.archive).beside(index.find(limit=limit, **wanted)))
    unread = asked.unreadable(index)
    if as_json:
        output.emit({"runs": [_with_seal(run) for run in runs], "unreadable": unread})
    elif not runs:
        output.say("No run is kept that fits.")
    else:
        _table(runs)
    return 0


@click.command("show")
@click.argument("run")
@options.archive
@options.as_json
def show_command(run: str, archive: str | None, as_json: bool) -> int:
    """Show one earlier run; its id may be cut short.

    \b
    opslib show 019aa3c1
    opslib show latest
    opslib show "latest critical database-connections kulti"
    """
    from opslib.archive.index import Index
    from opslib.archive.notes import Notes

    index = Index(options.opened_archive(archive))
    (document,) = _witnessed(index.archive, Notes(index.archive).beside([index.get(run)]))
    document = _with_seal(document)
    if as_json:
        output.emit(document)
    else:
        verdicts.show(document)
        seal = document["seal"]
        output.say(f"{'Sealed' if seal['sealed'] else 'Not sealed'}: {seal['text']}")
        if "witnessed" in document:
            output.say(f"Log:    {document['witnessed']}", style="dim")
        for line in verdicts.notes(document["notes"]):
            output.say(line)
    return 0


def _witnessed(archive: Path, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return runs with how far they are witnessed, where witnesses are configured."""
    from opslib.runner import notary

    found = notary.standing(archive)
    if found is None:
        return list(documents)
    return [{**one, "witnessed": found.told(Path(one["record"]))} for one in documents]


def _with_seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a run, and whether its record is in the log."""
    from opslib.evidence import seal_of

    return {**document, "seal": seal_of(Path(document["record"])).to_dict()}


def _table(runs: Sequence[Mapping[str, Any]]) -> None:
    columns = ["WHEN (UTC)", "VERDICT", "PROCEDURE", "SYSTEM", "CAUSE", "BY", "RUN"]
    noted = any(run["notes"] for run in runs)
    log = any("witnessed" in run for run in runs)
    more = [name for name, there in (("LOG", log), ("NOTES", noted)) if there]
    output.table([*columns, *more], [_row(run, noted) for run in runs])


def _row(run: Mapping[str, Any], noted: bool) -> tuple[Any, ...]:
    when = str(run["started_at"])[:19].replace("T", " ")
    where = f"{run['system']} ({run['environment']})"
    cause = "(disposed)" if run.get("disposed") else (run.get("cause") or {}).get("id", "")
    verdict = Status(run["verdict"])
    cells = (when, verdict, run["procedure"], where, cause, run.get("actor", ""), run["run_id"])
    log = (run["witnessed"],) if "witnessed" in run else ()
    return (*cells, *log, str(len(run["notes"]) or "")) if noted else (*cells, *log)
