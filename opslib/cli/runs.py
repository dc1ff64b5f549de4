"""`opslib run`: run one procedure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output, verdicts
from opslib.errors import UsageError

if TYPE_CHECKING:
    from opslib.catalog import Procedure

_OPTIONS = {"system": "--system", "environment": "--env"}
_HELP = """Run a procedure and keep the record.

    The exit code is the verdict: 0 ok, 1 warning, 2 critical, 3 unknown. Wrong words end with
    64 before anything is started. `opslib run PROCEDURE --help` lists its parameters.

    \b
    opslib run database-connections --system kulti
    opslib run health-check --system klutr --env production -p samples=10
    opslib run site-down --system klutr --json | jq .cause
    """


def _print_help(procedure: str | None) -> int:
    """Print the help, with the parameters of the procedure that is named."""
    click.echo(click.get_current_context().get_help())
    if procedure:
        from opslib import catalog

        click.echo(_parameters(catalog.load().get(procedure)))
    return 0


@click.command("run", help=_HELP, add_help_option=False)
@click.argument("procedure", required=False)
@options.system
@options.environment
@click.option("-p", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@options.archive
@click.option(
    "--cell-timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Longest time for one cell."
)
@click.option(
    "--run-timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Longest time for the run."
)
@options.as_json
@click.option("-h", "--help", "helping", is_flag=True, help="Show this page.")
def run_command(
    procedure: str | None,
    system: str | None,
    environment: str | None,
    given: tuple[str, ...],
    archive: str | None,
    cell_timeout: float | None,
    run_timeout: float | None,
    as_json: bool,
    helping: bool,
) -> int:
    """Run a procedure and keep the record."""
    if helping:
        return _print_help(procedure)
    if not procedure:
        raise UsageError("which procedure?", hint="see `opslib list`")
    from opslib import catalog
    from opslib.runner import attempt

    chosen = catalog.load().get(procedure)
    target = attempt.target(options.needed_system(system), options.chosen_environment(environment))
    parameters = chosen.parse(given_words(given))
    folder = options.opened_archive(archive)
    from opslib.runner.request import Request

    line = output.progress(not as_json)
    request = Request(
        procedure=chosen,
        system=target.system.name,
        environment=target.name,
        parameters=parameters,
        archive=folder,
        trigger="manual",
        progress=line,
        **_timeouts(cell_timeout, run_timeout),
    )
    document = attempt.attempt(request, target)
    line("")
    output.emit(document) if as_json else verdicts.show(document)
    return verdicts.code(document)


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


def _timeouts(cell: float | None, run: float | None) -> dict[str, Any]:
    given = {"cell_timeout_s": cell, "run_timeout_s": run}
    return {name: value for name, value in given.items() if value is not None}


def _parameters(procedure: Procedure) -> str:
    own = [parameter for parameter in procedure.parameters if parameter.name not in _OPTIONS]
    formatter = click.HelpFormatter(max_width=100)
    with formatter.section(f"\nParameters of {procedure.id}"):
        rows = [(f"-p {p.name}={p.default}", f"{p.help} [{p.allowed}]".strip()) for p in own]
        formatter.write_dl(rows) if rows else formatter.write_text("none besides --system and --env")
    return formatter.getvalue()
