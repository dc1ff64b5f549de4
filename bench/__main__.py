"""`python -m bench`: measure, print the tables, keep them in `bench/RESULTS.md`."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from bench import machine, measure, report, targets
from bench.outputs import Different
from bench.process import Failed

WIDTH = 120  # where no terminal says how wide it is
RESULTS = Path(__file__).parent / "RESULTS.md"


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of the suite (default: 3).")
@click.option("--quick", is_flag=True, help="One round of four runbooks; nothing is written without --out.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: bench/RESULTS.md.")
def main(rounds: int | None, quick: bool, out: Path | None) -> None:
    """Measure opslib against stock papermill in the same run.

    Ends with 1, and writes nothing, when a way shows anything else than stock papermill does.
    """
    # As with Ctrl-C, nothing is left: no sandbox, no folder.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = measure.QUICK if quick else measure.Plan()
    if rounds:
        plan = replace(plan, rounds=rounds)
    command = " ".join(["python -m bench", *sys.argv[1:]])
    facts = machine.facts(command)
    try:
        measured = measure.everything(plan)
    except (Different, Failed) as error:
        sys.exit(f"bench: {error}")
    shown = report.tables(measured, targets.judged(measured))
    report.show(Console(width=None if sys.stdout.isatty() else WIDTH), shown)
    kept = out or (None if quick else RESULTS)
    if kept:
        kept.write_text(report.document(facts, shown, report.words(measured)), encoding="utf-8")
        measure.say(f"written: {kept}")


if __name__ == "__main__":
    main()
