"""The list of runs: filters, search, the newest first, page by page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from opslib.archive import choosing
from opslib.archive.asking import KIND
from opslib.archive.index import Index
from opslib.archive.notes import Notes
from opslib.archive.searching import Hit
from opslib.ids import now
from opslib.runner.card import TRIGGERS, brief, environment
from opslib.show.words import HEADLINE, SIGN, unread
from opslib.verdict import Status
from opslib.web import frame

PAGE = 50
LIMITS = {"since": "7d or 2026-11-21", "until": "2026-11-21"}
WORDS, BEFORE = "words", "before"
ASKED = (*KIND, *LIMITS, WORDS, BEFORE)
_MOST_CHOICES = 200
_MOST_UNREAD = 50
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_CHOICES = {"verdict": choosing.VERDICTS, "trigger": list(choosing.TRIGGERS)}

Asked = Mapping[str, str]


@dataclass(frozen=True)
class Found:
    """A page of runs.

    Args:
        runs: their documents, the newest first.
        hits: where the words stand, if any were searched for: one for each run.
        more: whether there are older ones.
    """

    runs: Sequence[Mapping[str, Any]]
    hits: Sequence[Hit]
    more: bool


def page(index: Index, asked: Asked) -> str:
    """Return the page.

    Args:
        index: the archive's index.
        asked: filters, words and where to go on, as the address has them.

    Raises:
        UsageError: a moment cannot be understood, or there is nothing to be looked for in the words.
    """
    found = _found(index, asked)
    body = [
        f'<header class="list"><h1>{escape(_title(asked))}</h1>{_verdicts(asked)}</header>',
        _filters(index, asked),
        _unreadable(index),
        f'<main aria-label="Runs">{_table(index, found, asked)}</main>',
        _further(found, asked),
    ]
    return frame.document(_title(asked), "\n".join(body), words=asked.get(WORDS, ""))


def _found(index: Index, asked: Asked) -> Found:
    given = {name: value for name, value in asked.items() if name != WORDS}
    wanted = choosing.chosen(now(), **given)
    if not asked.get(WORDS):
        runs = index.find(limit=PAGE + 1, **wanted)
        return Found(runs[:PAGE], (), len(runs) > PAGE)
    words = [phrase or word for phrase, word in _WORD.findall(asked[WORDS])]
    hits = index.search(words, limit=PAGE + 1, **wanted)
    return Found([hit.document for hit in hits[:PAGE]], hits[:PAGE], len(hits) > PAGE)


def _title(asked: Asked) -> str:
    words = asked.get(WORDS)
    return f"Runs that say {brief(words, 80)}" if words else "Runs"


def _verdicts(asked: Asked) -> str:
    """Return one link for each verdict: what is looked for first at night."""
    links = [_verdict(verdict, asked) for verdict in ("", *choosing.VERDICTS)]
    return f'<p class="chips" role="group" aria-label="Verdict">{"".join(links)}</p>'


def _verdict(verdict: str, asked: Asked) -> str:
    words = f"{SIGN[Status(verdict)]} {verdict}" if verdict else "all"
    place = frame.address("/", {**_again(asked), "verdict": verdict})
    here = ' aria-current="true"' if asked.get("verdict", "") == verdict else ""
    return f'<a class="chip {verdict}" href="{escape(place)}"{here}>{words}</a>'


def _again(asked: Asked) -> dict[str, str]:
    """Return what is asked for, from the newest run on."""
    return {name: value for name, value in asked.items() if name != BEFORE}


def _filters(index: Index, asked: Asked) -> str:
    known = {**index.known(), **_CHOICES}
    fields = [_choice(name, known[name], asked.get(name, "")) for name in KIND]
    fields += [_limit(name, asked.get(name, "")) for name in LIMITS]
    kept = _hidden(WORDS, asked.get(WORDS, ""))
    given = [f"{name} {asked[name]}" for name in (*KIND, *LIMITS) if asked.get(name)]
    told = f": {escape(', '.join(brief(one, 60) for one in given))}" if given else ""
    clear = f'<p class="clear">{frame.link("/", "Clear all")}</p>' if given or asked.get(WORDS) else ""
    return (
        f'<details class="filters"><summary>Filters{told}</summary>'
        f'<form action="/">{kept}<div class="fields">{"".join(fields)}</div>'
        f'<p class="buttons"><button>Show</button></p></form></details>{clear}'
    )


def _choice(name: str, values: Sequence[str], chosen: str) -> str:
    shown = list(dict.fromkeys([*values[:_MOST_CHOICES], *([chosen] if chosen else [])]))
    options = "".join(_option(value, chosen) for value in ("", *shown))
    return f'<label>{name}<select name="{name}">{options}</select></label>'


def _option(value: str, chosen: str) -> str:
    mark = " selected" if value == chosen else ""
    return f'<option value="{escape(value)}"{mark}>{escape(brief(value, 80)) or "any"}</option>'


def _limit(name: str, value: str) -> str:
    return (
        f'<label>{name}<input name="{name}" value="{escape(value)}" placeholder="{LIMITS[name]}"'
        ' autocomplete="off"></label>'
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">' if value else ""


def _unreadable(index: Index) -> str:
    """Return which records could not be read: a list without them must not look whole."""
    rows = index.unreadable()
    if not rows:
        return ""
    items = "".join(
        f"<li><code>{escape(str(path.relative_to(index.archive)))}</code> {escape(brief(why, 300))}</li>"
        for path, why in rows[:_MOST_UNREAD]
    )
    sign = SIGN[Status.WARNING]
    return (
        f'<details class="unread warning"><summary>{sign} {escape(unread(len(rows)))}</summary>'
        f"<ul>{items}</ul></details>"
    )


def _table(index: Index, found: Found, asked: Asked) -> str:
    if not found.runs:
        return f'<p class="nothing">{_nothing(index, asked)}</p>'
    notes = Notes(index.archive)
    hits: Sequence[Hit | None] = found.hits or [None] * len(found.runs)
    rows = [_row(run, hit, len(notes.of(run["run_id"]))) for run, hit in zip(found.runs, hits, strict=True)]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("verdict", "what", "when", "by"))
    return f'<table class="runs"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _nothing(index: Index, asked: Asked) -> str:
    if asked:
        return f"No run is kept that fits. {frame.link('/', 'Show all runs')}"
    first = "<code>opslib run PROCEDURE --system NAME</code> makes the first."
    return f"No run is kept in {escape(str(index.archive))} yet. {first}"


def _row(run: Mapping[str, Any], hit: Hit | None, notes: int) -> str:
    status = Status(run["verdict"])
    name = f'<a href="{escape(frame.run_address(run["run_id"]))}">{escape(brief(run["procedure"]))}</a>'
    where = f"{escape(brief(run['system']))} {environment(run['environment'])}"
    cause = run.get("cause") or {}
    why = f"<p><b>{escape(brief(cause['id']))}</b> {escape(brief(cause['text'], 200))}</p>" if cause else ""
    noted = f'<p class="quiet">{notes} note{"" if notes == 1 else "s"}</p>' if notes else ""
    mark = f'<span class="mark" aria-hidden="true">{SIGN[status]}</span> <b>{HEADLINE[status]}</b>'
    what = f'<span class="what">{name} <span class="at">{where}</span></span>'
    return (
        f'<tr class="{status}"><td class="verdict-cell">{mark}</td><td>{what}{why}{_snippet(hit)}{noted}</td>'
        f'<td class="when">{frame.moment(run["started_at"])}</td><td class="by">{_by(run)}</td></tr>'
    )


def _by(run: Mapping[str, Any]) -> str:
    trigger = str(run.get("trigger") or "")
    return f"{escape(brief(run['actor']))} <small>{escape(brief(TRIGGERS.get(trigger, trigger)))}</small>"


def _snippet(hit: Hit | None) -> str:
    if hit is None:
        return ""
    told, position = "", 0
    for begin, end in hit.marked:
        told += f"{escape(hit.snippet[position:begin])}<mark>{escape(hit.snippet[begin:end])}</mark>"
        position = end
    return f'<p class="snippet">{hit.where}: {told}{escape(hit.snippet[position:])}</p>'


def _further(found: Found, asked: Asked) -> str:
    links = [frame.link("/", "Newest", _again(asked))] if asked.get(BEFORE) else []
    if found.more:
        last = str(found.runs[-1]["run_id"])
        links.append(frame.link("/", "Older runs", {**asked, BEFORE: last}))
    return f'<nav class="further" aria-label="Pages">{" ".join(links)}</nav>' if links else ""
