"""A procedure over time, as people read it on a terminal."""

from __future__ import annotations

from opslib.cli import output, verdicts
from opslib.trends import words
from opslib.trends.facts import MISSED, OverTime
from opslib.verdict import Status

_BARS = 60


def show(over: OverTime) -> None:
    """Print strip, open findings, trend, rates and notes."""
    status = Status(over.newest["verdict"])
    verdicts.headline(status, f"{over.procedure} on {over.system} ({over.environment}), over time")
    if over.newest.get("cause"):
        output.say(f"  cause: {over.newest['cause']['id']}. {over.newest['cause']['text']}")
    if over.flaky:
        output.say(f"  ▲ flaky: {words.flaky(over)}.", style=output.STYLE[Status.WARNING])
        output.say(f"    {words.look(over.flips[0])}")
    _strip(over)
    _open(over)
    if over.trend:
        output.say(f"\n{over.trend.key}", style="bold")
        output.say(f"  {words.sparkline(over.trend, _BARS)}  {words.trend(over.trend)}")
    columns = ("DAYS", "RUNS", *(verdict.upper() for verdict in words.VERDICTS))
    rows = [(str(rates.days), str(rates.runs), *words.shares(rates)) for rates in over.rates]
    output.table(columns, rows, title="How often it came to what")
    if over.notes:
        output.say("")
    for line in verdicts.notes(over.notes):
        output.say(line)


def _strip(over: OverTime) -> None:
    from rich.text import Text

    missed = "dim"
    marks = [
        (words.sign(entry.state), missed if entry.state == MISSED else output.STYLE[Status(entry.state)])
        for entry in over.entries
    ]
    output.console().print(Text.assemble("\n", *marks), soft_wrap=True)
    output.say(f"{words.strip(over)}; from {words.clock(over.entries[0].moment)} UTC", style="dim")
    output.say(words.planned(over), style="dim")


def _open(over: OverTime) -> None:
    if not over.open:
        output.say("\nNo finding is open.")
        return
    rows = [
        (
            Status(found.finding["status"]),
            found.finding["check"],
            found.finding["subject"],
            words.seen(found),
            words.since(found),
            words.clock(found.last),
            str(found.runs),
        )
        for found in over.open
    ]
    columns = ("STATUS", "CHECK", "SUBJECT", "OBSERVED", "FIRST SEEN", "LAST SEEN", "RUNS")
    output.table(columns, rows, title="Open findings")
