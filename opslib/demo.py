"""`make demo`: a healthy system's daily routine, then a system that is really broken, side by side.

Everything runs in the sandbox on this machine. The demo ends with exit code 0 when each verdict was
the expected one, the broken system included.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.errors import OpsError
from opslib.home import default_archive

if TYPE_CHECKING:
    from opslib.runner.execute import Outcome

HEALTHY = "klutr"
BROKEN = "kulti"
SCENARIO = "connections-exhausted-idle"
PROCEDURE = "database-connections"


@dataclass(frozen=True)
class Row:
    """One line of the table at the end.

    Args:
        system: the system that was looked at.
        procedure: what was run.
        verdict: what it said.
        expected: what it had to say.
        cause: the cause it named, or why it was not run, or "".
        record: folder of the record.
    """

    system: str
    procedure: str
    verdict: str
    expected: str
    cause: str
    record: str


def main() -> int:
    """Run the demo and return its exit code."""
    begun = time.monotonic()
    try:
        rows = play(default_archive())
    except OpsError as error:
        sys.stderr.write(error.text() + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the sandbox is gone, nothing else was touched\n")
        return 130
    report(rows, time.monotonic() - begun)
    return 0 if all(row.verdict == row.expected for row in rows) else 1


def play(archive: Path) -> list[Row]:
    """Run the healthy routine, break the other system, diagnose it, heal it."""
    from opslib.sandbox import control

    say("starting the sandbox: two PostgreSQL clusters, two apps, their vendors, a name server")
    with control.ensure(HEALTHY, BROKEN):
        say(f"{HEALTHY}: its daily routine")
        rows = routine(archive)
        say(f"{BROKEN}: every connection slot filled with idle sessions, then diagnosed")
        control.break_(SCENARIO, BROKEN)
        try:
            rows.append(diagnose(archive, "critical"))
        finally:
            control.heal(SCENARIO, BROKEN)
        say(f"{BROKEN}: healed, looked at again")
        rows.append(diagnose(archive, "ok"))
    return rows


def routine(archive: Path) -> list[Row]:
    """Run the healthy system's daily routine."""
    from opslib.runner.routine import run_routine
    from opslib.runner.watch import Lines

    done = run_routine(HEALTHY, "sandbox", "daily", archive=archive, watch=Lines(say))
    return [
        Row(
            HEALTHY,
            line.procedure or line.item,
            line.verdict,
            "ok" if line.state == "ran" else line.verdict,
            line.cause or (line.state if line.state != "ran" else ""),
            line.record,
        )
        for line in done.lines
    ]


def diagnose(archive: Path, expected: str) -> Row:
    """Run the diagnosis on the other system."""
    from opslib import catalog
    from opslib.runner.execute import Request, run

    request = Request(catalog.load().get(PROCEDURE), BROKEN, "sandbox", {}, archive=archive)
    return row(run(request), expected)


def row(outcome: Outcome, expected: str) -> Row:
    """Return the table row of one outcome."""
    seen: dict[str, Any] = outcome.document
    cause = seen["cause"]["id"] if seen["cause"] else ""
    return Row(seen["system"], seen["procedure"], seen["verdict"], expected, cause, str(outcome.record))


def report(rows: list[Row], seconds: float) -> None:
    """Print the verdict table, where the reports are, and what to try next."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"opslib demo: {len(rows)} runs in {seconds:.0f} s", title_justify="left")
    for name in ("system", "procedure", "verdict", "cause or state"):
        table.add_column(name)
    for item in rows:
        colour = {"ok": "green", "warning": "yellow", "critical": "red"}.get(item.verdict, "white")
        verdict = f"[{colour}]{item.verdict}[/]" + ("" if item.verdict == item.expected else " (unexpected)")
        table.add_row(item.system, item.procedure, verdict, item.cause)
    console.print(table)
    shown = next((item for item in rows if item.verdict == "critical"), rows[-1])
    console.print(f"report of the broken system: {shown.record}/run.html", soft_wrap=True)
    console.print(f"try it yourself: {sys.executable} -m opslib sandbox up", soft_wrap=True)


def say(text: str) -> None:
    """Tell what happens next, on stderr."""
    sys.stderr.write(f"· {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
