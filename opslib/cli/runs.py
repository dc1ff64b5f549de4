"""`opslib run`: run one procedure, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output, verdicts, wording
from opslib.errors import UsageError

if TYPE_CHECKING:
    from opslib.catalog import Procedure
    from opslib.config import Environment
    from opslib.runner.request import Request

_OPTIONS = {"system": "--system", "environment": "--env"}
_HELP = """Run procedures and keep the records.

    The exit code is the verdict: 0 ok, 1 warning, 2 critical, 3 unknown. Wrong words end with
    64 before anything is started. `opslib run PROCEDURE --help` lists its parameters.

    \b
    opslib run database-connections --system kulti
    opslib run health-check --system klutr --env production -p samples=10
    opslib run site-down --system klutr --json | jq .cause

    Several go side by side, as many at a time as --jobs says, at most two at one database; with
    several systems, each procedure runs on each. A parameter goes to each procedure that has it.
    Results come in the order given, a table last, and the exit code is the worst verdict; with
    --json they are `runs` of one object. One that hangs or breaks does not hold the others.

    \b
    opslib run site-down health-check vendor-status --system klutr
    opslib run site-down --system klutr --system kulti
    opslib run database-health health-check --system kulti --jobs 4 --json | jq .runs[].verdict
    """


def _print_help(procedures: tuple[str, ...]) -> int:
    """Print the help, with the parameters of the procedures that are named."""
    click.echo(click.get_current_context().get_help())
    if procedures:
        from opslib import catalog

        known = catalog.load()
        for name in procedures:
            click.echo(_parameters(known.get(name)))
    return 0


@click.command("run", help=_HELP, add_help_option=False)
@click.argument("procedures", metavar="PROCEDURE...", nargs=-1)
@options.systems
@options.environment
@click.option("-p", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@options.archive
@click.option(
    "--cell-timeout",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Longest time for one cell; else what the procedure asks for, or two minutes.",
)
@click.option(
    "--run-timeout",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Longest time for the run; else as long as one cell may take, and 13 minutes.",
)
@options.jobs
@options.as_json
@options.quiet
@click.option("-h", "--help", "helping", is_flag=True, help="Show this page.")
def run_command(
    procedures: tuple[str, ...],
    systems: tuple[str, ...],
    environment: str | None,
    given: tuple[str, ...],
    archive: str | None,
    cell_timeout: float | None,
    run_timeout: float | None,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
    helping: bool,
) -> int:
    """Run procedures and keep the records."""
    if helping:
        return _print_help(procedures)
    if not procedures:
        raise UsageError("which procedure?", hint="see `opslib list`")
    from opslib import catalog
    from opslib.runner import attempt

    known = catalog.load()
    chosen = [known.get(name) for name in procedures]
    name = options.chosen_environment(environment)
    named = dict.fromkeys(systems or [options.needed_system(None)])
    targets = [attempt.target(system, name) for system in named]
    with wording.telling(*targets):
        asked = _parsed(chosen, given_words(given))
    folder = options.opened_archive(archive)
    from opslib.runner.request import Request

    requests = [
        Request(
            procedure=procedure,
            system=target.system.name,
            environment=target.name,
            parameters=parameters,
            archive=folder,
            trigger="manual",
            cell_timeout_s=cell_timeout,
            run_timeout_s=run_timeout,
        )
        for target in targets
        for procedure, parameters in zip(chosen, asked, strict=True)
    ]
    if len(requests) == 1:
        return _one(requests[0], targets[0], as_json, quiet)
    from opslib.cli import several

    return several.run(requests, jobs=jobs, as_json=as_json, quiet=quiet)


def _one(request: Request, target: Environment, as_json: bool, quiet: bool) -> int:
    from opslib.runner import attempt

    line = output.progress(not (as_json or quiet), timed=True)
    document = attempt.attempt(replace(request, progress=line), target)
    line("")
    if as_json:
        output.emit(document)
    else:
        verdicts.show(document)
        verdicts.plan(document, request.archive)
    return verdicts.code(document)


def _parsed(chosen: Sequence[Procedure], given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what was given as each procedure's parameters; one alone takes all, or says what is wrong."""
    if len(chosen) == 1:
        return [chosen[0].parse(given)]
    from opslib.cli import several

    return several.shared(chosen, given)


def given_words(words: tuple[str, ...]) -> dict[str, str]:
    """Return what was given with `-p`, as text.

    Raises:
        UsageError: a word is no NAME=VALUE, or has an option of its own.
    """
    from opslib.parameters import pairs

    found = pairs(words)
    for name, option in _OPTIONS.items():
        if name in found:
            raise UsageError(f"{name} is not given with -p", hint=f"write {option} {found[name]}")
    return found


def _parameters(procedure: Procedure) -> str:
    own = [parameter for parameter in procedure.parameters if parameter.name not in _OPTIONS]
    formatter = click.HelpFormatter(max_width=100)
    with formatter.section(f"\nParameters of {procedure.id}"):
        rows = [(f"-p {p.name}={p.default}", f"{p.help} [{p.allowed}]".strip()) for p in own]
        formatter.write_dl(rows) if rows else formatter.write_text("none besides --system and --env")
    return formatter.getvalue()
