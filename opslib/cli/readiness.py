"""`opslib doctor`: what works, what is missing, what that leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.doctor import Report


@click.command("doctor")
@options.system
@options.environment
@options.archive
@click.option("--sql", is_flag=True, help="Print the statements that make opslib's two database roles.")
@options.as_json
def doctor_command(
    system: str | None, environment: str | None, archive: str | None, sql: bool, as_json: bool
) -> int:
    """Try what this machine and a system's file name; say what works and what is missing.

    Nothing is changed. Exit code: 0 all usable, 1 something optional is missing, 2 this machine
    lacks something needed or a file is wrong, 3 something that is named does not answer from here.

    \b
    opslib doctor
    opslib doctor --system shop --env production
    opslib doctor --system shop --sql | psql "$ADMIN_URL"
    """
    from opslib import doctor
    from opslib.home import default_archive

    if sql:
        print(doctor.role_statements())
        return 0
    folder = options.set_archive(archive) if archive else default_archive()
    report = doctor.examine(folder, system, options.chosen_environment(environment))
    output.emit(report.to_dict()) if as_json else _print(report)
    return report.status.exit_code


def _print(report: Report) -> None:
    for part in dict.fromkeys(line.part for line in report.lines):
        rows: list[tuple[Any, ...]] = [
            (line.status, line.what, line.seen, line.hint) for line in report.lines if line.part == part
        ]
        output.table(("STATUS", "WHAT", "SEEN", "WHAT TO DO"), rows, title=part)
    if report.left_out:
        output.table(("PROCEDURE", "WHY"), report.left_out.items(), title="Left out (skipped)")
    words = {
        Status.OK: "all of it can be used",
        Status.WARNING: "usable; something optional is missing",
        Status.CRITICAL: "this machine lacks something needed, or a file is wrong",
        Status.UNKNOWN: "something that is named does not answer from here",
    }
    output.say(f"\n{words[report.status]}", style=output.STYLE[report.status])
