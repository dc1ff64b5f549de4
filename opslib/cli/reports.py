"""`opslib report`: the page of a run, or of a procedure over time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import asked, options, output, verdicts
from opslib.errors import ArchiveError, ConfigError, OpsError, UnknownName, UsageError

if TYPE_CHECKING:
    from opslib.archive.index import Index
    from opslib.trends.facts import OverTime


@click.command("report")
@click.argument("what", metavar="[RUN|PROCEDURE]", required=False)
@options.system
@options.environment
@click.option("--key", metavar="CHECK[:SUBJECT]", help="Of a procedure: draw the numbers of this finding.")
@click.option(
    "--output",
    "-o",
    "place",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of a procedure: where its page goes (default: OPSLIB_HOME/reports).",
)
@click.option("--print", "only_print", is_flag=True, help="Open nothing: a run's path, a procedure as text.")
@options.archive
@options.as_json
def report_command(
    what: str | None,
    system: str | None,
    environment: str | None,
    key: str | None,
    place: Path | None,
    only_print: bool,
    archive: str | None,
    as_json: bool,
) -> int:
    """Open the report of a run (default: the newest), or of a procedure over time.

    With --system it is a procedure: its last runs and the missed ones, what is open since when, a number
    with its limit, and how often it came to which verdict. On a terminal the page opens in the browser;
    otherwise its path is printed.

    \b
    opslib report 019aa3c1 --print
    opslib report "latest critical site-down klutr"
    opslib report database-connections --system kulti --env production
    opslib report database-connections --system kulti --print
    """
    from opslib.archive.index import Index

    index = Index(options.opened_archive(archive))
    if what and system:
        target = {"procedure": what, "system": system, "environment": options.chosen_environment(environment)}
        return _procedure(_gathered(index, target, key or ""), place, only_print, as_json)
    if environment or key or place or system:
        raise UsageError(
            "a procedure over time needs its name and --system",
            hint="e.g. opslib report database-connections --system kulti",
        )
    return _run(_named(index, what), index, only_print, as_json)


def _gathered(index: Index, target: dict[str, str], key: str) -> OverTime:
    from opslib import config
    from opslib.trends.gather import gather

    try:
        slots = config.load_schedule()
    except ConfigError as error:
        output.note(f"opslib: what was missed is not known: {error.message}")
        slots = ()
    asked.unreadable(index)
    return gather(index, slots, target, key=key)


def _procedure(over: OverTime, place: Path | None, only_print: bool, as_json: bool) -> int:
    if as_json:
        output.emit(over.to_dict())
    elif only_print and place is None:
        from opslib.cli import over_time

        over_time.show(over)
    else:
        _open(_written(over, place), only_print)
    return 0


def _written(over: OverTime, place: Path | None) -> Path:
    from opslib.archive import store
    from opslib.home import private
    from opslib.trends import page

    name = f"{over.procedure}-{over.system}-{over.environment}.html".replace("/", "-")
    path = place.absolute() if place else private("reports") / name
    with store.plainly(path):
        store.replace(path, page.render(over, _title(over.procedure)).encode(), durable=False)
    return path


def _title(procedure: str) -> str:
    """Return the title of a procedure; of one that is gone, its name."""
    from opslib import catalog

    try:
        return catalog.load().get(procedure).title
    except OpsError:
        return procedure


def _run(document: dict[str, Any], index: Index, only_print: bool, as_json: bool) -> int:
    from opslib.archive import disposed
    from opslib.archive.notes import Notes

    disposed.must_be_there(document)
    page = Path(document["record"]) / "run.html"
    if not page.is_file():
        raise ArchiveError(
            f"{page}: the report is not there", hint="see `opslib show` for what is known of the run"
        )
    notes = [note.to_dict() for note in Notes(index.archive).of(document["run_id"])]
    if as_json:
        output.emit({"run_id": document["run_id"], "report": str(page), "notes": notes})
        return 0
    for line in verdicts.notes(notes):
        output.note(line)
    _open(page, only_print)
    return 0


def _open(page: Path, only_print: bool) -> None:
    print(page)
    if sys.stdout.isatty() and not only_print:
        click.launch(page.as_uri())


def _named(index: Index, run: str | None) -> dict[str, Any]:
    if run is None:
        newest = index.find(limit=1)
        if not newest:
            hint = "`opslib run PROCEDURE --system NAME` makes the first"
            raise ArchiveError("no run is kept yet", hint=hint)
        return newest[0]
    try:
        return index.get(run)
    except UnknownName:
        from opslib import catalog

        if run in catalog.load().ids:
            options.needed_system(None)
        raise
