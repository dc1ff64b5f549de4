"""The page of a procedure over time: one file, no script, nothing loaded; words come escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from opslib.runner.card import brief, environment, span
from opslib.runner.page import document
from opslib.show.words import HEADLINE, SIGN, unread
from opslib.trends import words
from opslib.trends.curve import curve
from opslib.trends.facts import MISSED, Entry, Open, OverTime, Rates
from opslib.verdict import Status


def render(over: OverTime, title: str) -> str:
    """Return the page.

    Args:
        over: what is known.
        title: title of the procedure.
    """
    sign = SIGN[Status(over.newest["verdict"])]
    return document(f"{sign} {title} over time", body(over, title))


def body(over: OverTime, title: str, runs: str = "") -> str:
    """Return what stands on the page.

    Args:
        over: what is known.
        title: title of the procedure.
        runs: address below which each run has a page of its own; empty where they have none.
    """
    below = (part(over) for part in (_open, _trend, _rates, _notes, _foot))
    return "\n".join([_card(over, title), _strip(over, runs), *below])


def _card(over: OverTime, title: str) -> str:
    status = Status(over.newest["verdict"])
    cause = over.newest.get("cause") or {}
    told = f"<b>{escape(str(cause['id']))}</b> {escape(brief(cause['text'], 400))}" if cause else ""
    began = words.clock(over.entries[-1].moment) if not over.entries[-1].run_id else ""
    where = f"{escape(over.system)} {environment(over.environment)}"
    return (
        f'<header class="card {status}"><div class="verdict">'
        f'<span class="sign" aria-hidden="true">{SIGN[status]}</span>'
        f'<h1><strong>{HEADLINE[status]}</strong> <span class="title">{escape(title)}, over time</span></h1>'
        f'<p class="where">{where}</p></div><div class="told">'
        f'{f"<p>{told}</p>" if told else ""}{_flaky(over)}<p class="quiet">{escape(_newest(over, began))}</p>'
        "</div></header>"
    )


def _flaky(over: OverTime) -> str:
    if not over.flips:
        return ""
    command = f"<code>{escape(words.look(over.flips[0]))}</code>"
    return f'<p><span class="flaky">▲ flaky</span> {escape(words.flaky(over))}. {command}</p>'


def _newest(over: OverTime, missed: str) -> str:
    began = str(over.newest["started_at"])[:16].replace("T", " ")
    late = f" The moment planned for {missed} UTC was missed." if missed else ""
    return f"Newest run: {began} UTC, {over.newest['run_id']}.{late}"


def _strip(over: OverTime, runs: str) -> str:
    longest = max((entry.seconds or 0.0 for entry in over.entries), default=0.0) or 1.0
    bars = "".join(_bar(entry, longest, runs) for entry in over.entries)
    told, role = escape(words.strip(over)), "group" if runs else "img"
    return (
        f'<figure class="history"><div class="bars" role="{role}" aria-label="{told}">{bars}</div>'
        f"<figcaption>{told}. {escape(words.planned(over))}</figcaption></figure>"
    )


def _bar(entry: Entry, longest: float, runs: str) -> str:
    missed = entry.state == MISSED
    height = 60 if missed else max(8, round(100 * (entry.seconds or 0.0) / longest))
    took = "" if missed else f", {span(entry.seconds)}"
    told = f"{words.clock(entry.moment)} UTC: {entry.state}{took}"
    shown = "" if entry.state == Status.OK else words.sign(entry.state)
    inside = f'title="{escape(told)}"><i style="height:{height}%"></i><b>{shown}</b>'
    if not runs or not entry.run_id:
        return f'<span class="run {entry.state}" {inside}</span>'
    place = f'href="{runs}{quote(entry.run_id, safe="")}" aria-label="{escape(told)}"'
    return f'<a class="run {entry.state}" {place} {inside}</a>'


def _open(over: OverTime) -> str:
    if not over.open:
        return _section("Open findings", '<p class="quiet">None: all that was checked is well.</p>')
    head = ("status", "check", "seen (UTC)")
    return _section("Open findings", _table(head, [_finding(found) for found in over.open], "open"))


def _finding(found: Open) -> str:
    row, status = found.finding, Status(found.finding["status"])
    subject = f" <small>{escape(brief(row['subject']))}</small>" if row["subject"] else ""
    why = f"<br><small>{escape(brief(row['why'], 300))}</small>" if row["why"] else ""
    observed = f"<br>{escape(brief(words.seen(found)))}" if row["observed"] else ""
    return (
        f'<tr class="{status}"><td class="sign-small">{SIGN[status]} {status}</td>'
        f"<td><b>{escape(brief(row['check']))}</b>{subject}{observed}{why}</td>"
        f"<td>{escape(words.spell(found))}</td></tr>"
    )


def _trend(over: OverTime) -> str:
    if over.trend is None:
        return ""
    told = f"<p>{escape(words.trend(over.trend))}</p>"
    return _section(brief(over.trend.key), f"{told}{curve(over.trend)}")


def _rates(over: OverTime) -> str:
    head = ("days", "runs", *(f"{SIGN[verdict]} <span>{verdict}</span>" for verdict in words.VERDICTS))
    rows = [_rate(rates) for rates in over.rates]
    return _section("How often it came to what", _table(head, rows, "rates"))


def _rate(rates: Rates) -> str:
    cells = "".join(f"<td>{share}</td>" for share in words.shares(rates))
    return f'<tr><th scope="row">{rates.days}</th><td>{rates.runs}</td>{cells}</tr>'


def _notes(over: OverTime) -> str:
    if not over.notes:
        return ""
    items = "".join(map(_note, over.notes))
    return _section("Notes", f"<ul>{items}</ul>")


def _note(note: Mapping[str, Any]) -> str:
    """Return one note; of one that cannot be read, why."""
    when = str(note["time"])[:16].replace("T", " ")
    by = f"{note['actor']}, {when} UTC, run {note['run_id']}" if note["readable"] else "cannot be read"
    return f"<li>{escape(brief(note['text'], 1000))} <small>{escape(by)}</small></li>"


def _foot(over: OverTime) -> str:
    told = f"{over.looked} runs were looked through for findings, numbers and flaky verdicts."
    told += f" {unread(over.unreadable)}." if over.unreadable else ""
    made = f"Put together {words.clock(over.now)} UTC from the archive; it is no record itself."
    return f"<footer><p>{told} {made}</p></footer>"


def _section(title: str, body: str) -> str:
    return f'<section class="over"><h2>{escape(title)}</h2>{body}</section>'


def _table(head: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    table = f'<table class="{kind}"><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
