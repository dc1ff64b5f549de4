"""`opslib routine`: a system's daily, weekly, monthly or quarterly list."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from opslib.cli import board, options, output, verdicts
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.runner.routine import Routine


@click.command("routine")
@click.argument("name")
@options.system
@options.environment
@options.archive
@options.jobs
@options.as_json
@options.quiet
def routine_command(
    name: str,
    system: str | None,
    environment: str | None,
    archive: str | None,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run a system's daily, weekly, monthly or quarterly list.

    Procedures run side by side, as many at a time as --jobs says, at most two at one database;
    what only a person can do is shown as open. The exit code is the worst verdict.

    \b
    opslib routine daily --system klutr
    opslib routine weekly --system klutr --jobs 4 --json | jq .items[].verdict
    """
    from opslib.runner import attempt

    target = attempt.target(options.needed_system(system), options.chosen_environment(environment))
    target.system.routine(name)
    folder = options.opened_archive(archive)
    from opslib.runner.routine import run_routine

    with board.opened(not (as_json or quiet)) as shown:
        done = run_routine(target.system.name, target.name, name, archive=folder, jobs=jobs, watch=shown)
    output.emit(done.to_dict()) if as_json else _print(done)
    return done.status.exit_code


def _print(done: Routine) -> None:
    verdicts.headline(done.status, f"{done.name} routine of {done.system} ({done.environment})")
    output.say("")
    rows = [(Status(line.verdict), line.item, line.procedure, line.cause, line.why) for line in done.lines]
    output.table(("VERDICT", "ITEM", "PROCEDURE", "CAUSE", "WHY"), rows)
    output.say(f"\n{_coverage(done)}")
    if done.document:
        output.say(f"Record: {done.document['record']}")
        output.say(f"Open it: opslib report {done.document['run_id']}", style="dim")


def _coverage(done: Routine) -> str:
    """Return how much of the list the verdict stands on: an ok over one item of six is not an ok over six."""
    left = Counter(line.state for line in done.lines if Status(line.verdict) is Status.SKIPPED)
    looked = f"{len(done.lines) - left.total()} of {len(done.lines)} items looked at"
    return (
        f"{looked}; the others: {', '.join(f'{n} {state}' for state, n in left.items())}" if left else looked
    )
