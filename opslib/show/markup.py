"""HTML for banner, findings and tables. Everything that comes from outside is escaped here."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import pandas as pd

from opslib.show.cells import cell
from opslib.show.words import HEADLINE, SIGN, counts
from opslib.verdict import Finding, Status, Verdict


@dataclass(frozen=True)
class Heading:
    """What the banner says about the run itself.

    Args:
        title: title of the procedure.
        system: system that is looked at.
        environment: its environment; `production` is marked.
        run_id: identity of the run.
        started: start time, UTC text.
        running: whether checks are still coming.
    """

    title: str
    system: str
    environment: str
    run_id: str
    started: str
    running: bool


@cache
def style() -> str:
    """Return the style sheet that notebooks embed once, as a `<style>` element."""
    sheet = resources.files("opslib.show").joinpath("show.css").read_text(encoding="utf-8")
    return f"<style>{sheet}</style>"


def banner(heading: Heading, verdict: Verdict) -> str:
    """Return the live verdict banner."""
    status = verdict.status
    word = "Checking" if heading.running and not verdict.findings else HEADLINE[status]
    state = f"{word} so far" if heading.running and verdict.findings else word
    rows = [
        f'<div class="opslib-banner opslib-{status}">',
        f'<p class="opslib-verdict"><b>{SIGN[status]} {escaped(state)}</b> {escaped(heading.title)}</p>',
        f'<p class="opslib-where">{_where(heading)}</p>',
        *_cause_lines(verdict),
        f'<p class="opslib-count">{escaped(counts([f.status for f in verdict.findings]))}</p>',
        "</div>",
    ]
    return "".join(rows)


def findings(rows: Iterable[Finding]) -> str:
    """Return the table of findings, the worst first; a column that would be empty is left out."""
    ordered = sorted(rows, key=lambda finding: -finding.status.severity)
    if not ordered:
        return '<p class="opslib-notice">No check was made.</p>'
    names = [name for name in _FINDING_CELLS if any(_FINDING_CELLS[name](finding) for finding in ordered)]
    head = "".join(f"<th>{name}</th>" for name in ("", *names))
    body = "".join(_finding_row(finding, names) for finding in ordered)
    return f'<table class="opslib-findings"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def table(frame: pd.DataFrame, title: str, top: int) -> str:
    """Return the first `top` rows as a table, and how many rows there are."""
    shown = frame.head(top)
    head = "".join(f"<th>{escaped(name)}</th>" for name in shown.columns)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in shown.itertuples(index=False, name=None))
    caption = _caption(title, len(shown), len(frame))
    return f'<table class="opslib-table">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def notice(title: str, text: str) -> str:
    """Return one line that stands where a table would be."""
    return f'<p class="opslib-notice"><b>{escaped(title)}</b> {escaped(text)}</p>'


def _where(heading: Heading) -> str:
    place = f"{heading.system} · <b>{escaped(heading.environment)}</b>"
    return f"{place} · started {escaped(heading.started)} UTC · run {escaped(heading.run_id[:13])}"


def _cause_lines(verdict: Verdict) -> list[str]:
    lines = [
        f'<p class="opslib-cause">Cause: <b>{escaped(c.id)}</b> {escaped(c.text)}</p>'
        for c in verdict.causes[:2]
    ]
    worst = [f for f in verdict.findings if f.status is verdict.status and f.why]
    if not lines and worst and verdict.status is not Status.OK:
        lines = [f'<p class="opslib-cause">{escaped(worst[0].check)}: {escaped(worst[0].why)}</p>']
    return lines


def _finding_row(finding: Finding, names: Sequence[str]) -> str:
    mark = f'<td class="opslib-{finding.status}">{SIGN[finding.status]} {finding.status}</td>'
    return "<tr>" + mark + "".join(f"<td>{_FINDING_CELLS[name](finding)}</td>" for name in names) + "</tr>"


def _checked(finding: Finding) -> str:
    subject = f"<br><small>{escaped(finding.subject)}</small>" if finding.subject else ""
    return f"{escaped(finding.check)}{subject}"


def _meaning(finding: Finding) -> str:
    good = f"expected: {finding.expected}" if finding.expected else ""
    return escaped(finding.why or good)


_FINDING_CELLS: dict[str, Callable[[Finding], str]] = {
    "check": _checked,
    "observed": lambda finding: escaped(finding.observed),
    "limit": lambda finding: escaped(finding.limit),
    "what it means": _meaning,
    "next": lambda finding: escaped(finding.next),
}


def _cells(values: Sequence[object]) -> str:
    return "".join(f"<td>{escaped(cell(value))}</td>" for value in values)


def _caption(title: str, shown: int, total: int) -> str:
    rest = f" (first {shown} of {total} rows)" if total > shown else ""
    return f"<caption>{escaped(title)}{rest}</caption>" if title or rest else ""


def escaped(value: object) -> str:
    """Return a value as text that is safe inside HTML."""
    return html.escape(str(value), quote=True)
