"""`python -m bench`: measure, print the tables, keep them in `bench/RESULTS.md`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from bench import machine, measure, report, targets
from bench.outputs import Different
from bench.process import Failed

WIDTH = 120  # where no terminal says how wide it is
RESULTS = Path(__file__).parent / "RESULTS.md"
EVIDENCE = Path(__file__).parent / "EVIDENCE.md"
DATABASE = Path(__file__).parent / "DATABASE.md"
PARTS = ("runs", "evidence", "database")


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of the suite (default: 3).")
@click.option("--quick", is_flag=True, help="One round of four runbooks; nothing is written without --out.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: bench/RESULTS.md.")
@click.option("--only", type=click.Choice(PARTS), help="One part (default: all).")
def main(rounds: int | None, quick: bool, out: Path | None, only: str | None) -> None:
    """Measure opslib against stock papermill in the same run, then evidence, moving rows and backups.

    Ends with 1, and writes nothing, when a way shows anything else than stock papermill does. What evidence
    costs is kept in bench/EVIDENCE.md, what moving a million rows and a backup cost in bench/DATABASE.md, or
    with --only where --out says.
    """
    command = " ".join(["python -m bench", *sys.argv[1:]])
    facts = machine.facts(command)
    if only in (None, "runs"):
        _runs(facts, rounds, quick, out)
    if only in (None, "evidence"):
        _evidence(facts, quick, out if only else None)
    if only in (None, "database"):
        _database(facts, quick, out if only else None)


def _evidence(facts: Mapping[str, str], quick: bool, out: Path | None) -> None:
    from bench import evidence

    shown = evidence.tables(evidence.everything(evidence.QUICK if quick else evidence.Plan()))
    report.show(_console(), shown)
    _keep(out or (None if quick else EVIDENCE), report.document(facts, shown, title="What evidence costs"))


def _database(facts: Mapping[str, str], quick: bool, out: Path | None) -> None:
    from bench import backups, database

    shown = [
        *database.tables(database.QUICK if quick else database.Plan()),
        *backups.tables(backups.QUICK if quick else backups.Plan()),
    ]
    report.show(_console(), shown)
    title = "What moving rows and taking backups cost"
    _keep(out or (None if quick else DATABASE), report.document(facts, shown, title=title))


def _runs(facts: Mapping[str, str], rounds: int | None, quick: bool, out: Path | None) -> None:
    # As with Ctrl-C, nothing is left: no sandbox, no folder.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = measure.QUICK if quick else measure.Plan()
    if rounds:
        plan = replace(plan, rounds=rounds)
    try:
        measured = measure.everything(plan)
    except (Different, Failed) as error:
        sys.exit(f"bench: {error}")
    shown = report.tables(measured, targets.judged(measured))
    report.show(_console(), shown)
    _keep(out or (None if quick else RESULTS), report.document(facts, shown, report.words(measured)))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def _keep(place: Path | None, text: str) -> None:
    if place:
        place.write_text(text, encoding="utf-8")
        measure.say(f"written: {place}")


if __name__ == "__main__":
    main()
