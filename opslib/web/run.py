"""The page of one run: its head as in the kept report, and what only the archive knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import Any

from opslib.archive import since
from opslib.archive.index import Index
from opslib.archive.notes import Notes
from opslib.errors import ArchiveError
from opslib.runner.card import brief, card, command
from opslib.runner.since import section as since_section
from opslib.show.words import HEADLINE, SIGN
from opslib.verdict import Status
from opslib.web import beside, frame, seal
from opslib.web.library import Kept, Library

REPORT, NOTEBOOK = "/report", "/notebook"
_SAME = ("procedure", "system", "environment")
_CARD_STEPS = 2  # next steps that the card shows


def page(library: Library, index: Index, known: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        library: whose records are read.
        index: its index.
        known: what the index keeps of the run.
    """
    kept = library.kept(known)
    told = kept.document
    logged = cache(partial(beside.logged, library.archive, told))
    parts = [
        card(told["procedure"], kept.stated["predicate"]) if kept.stated else _lost(kept),
        seal.section(seal.badge(kept, library, logged)),
        "" if kept.gone else _links(index, kept),
        _since(index, kept),
        beside.approvals(logged()) if told["changed"] else "",
        beside.notes(Notes(library.archive).of(told["run_id"]), logged),
        _more(library.archive, kept) if kept.stated else "",
    ]
    sign = SIGN[Status(told["verdict"])]
    return frame.document(f"{sign} {told['procedure']} on {told['system']}", "\n".join(filter(None, parts)))


def _lost(kept: Kept) -> str:
    """Return the head of a run whose record is gone: what the index remembers proves nothing."""
    known, fault = kept.document, kept.fault
    word = HEADLINE[Status(known["verdict"])]
    began = f"{frame.moment(known['started_at'])}, run {escape(known['run_id'])}"
    if kept.gone:
        left = f"What is left says: the verdict was {word}, {began}."
        return _head(known, Status.SKIPPED, "Its content was destroyed", kept.gone, left)
    left = f"The index remembers the verdict {word}, {began}. It is no record."
    return _head(known, Status.CRITICAL, "Its record cannot be read", fault, left)


def _head(known: Mapping[str, Any], status: Status, what: str, why: str, left: str) -> str:
    where = f"{known['procedure']} on {known['system']} ({known['environment']})"
    return (
        f'<header class="card {status}"><div class="verdict">'
        f'<span class="sign" aria-hidden="true">{SIGN[status]}</span>'
        f"<h1><strong>{what}</strong> <span>{escape(where)}</span></h1></div>"
        f'<div class="told"><p>{escape(why)}</p><p class="quiet">{left}</p>'
        "<p><code>opslib verify</code> says what else is missing.</p></div></header>"
    )


def _links(index: Index, kept: Kept) -> str:
    run = kept.document
    own, same = run["run_id"], {name: str(run[name]) for name in _SAME}
    earlier = index.find(limit=1, before=own, **same)
    well = since.last_ok(index, run)
    links = [
        _button(frame.run_address(own, REPORT), "Whole report", {}),
        _button(frame.run_address(own, NOTEBOOK), "Notebook", {}),
        _button("/procedure", "Over time", same),
        _button("/", "Runs like this", same),
        *(
            _button("/diff", "Compare with the run before", {"before": one["run_id"], "after": own})
            for one in earlier
        ),
    ]
    if well and run["verdict"] != Status.OK:
        links.append(_button("/diff", "Compare with the last ok", {"before": well["run_id"], "after": own}))
    return f'<nav class="buttons" aria-label="This run">{" ".join(links)}</nav>{_compare(own)}'


def _compare(own: str) -> str:
    return (
        '<details class="compare"><summary>Compare with another run</summary>'
        '<form class="buttons" action="/diff">'
        f'<input type="hidden" name="after" value="{escape(own)}"><input name="before" required'
        ' aria-label="The other run" placeholder="latest ok, or an id" autocomplete="off">'
        "<button>Compare</button></form></details>"
    )


def _button(path: str, words: str, query: Mapping[str, str]) -> str:
    return f'<a class="button" href="{escape(frame.address(path, query))}">{escape(words)}</a>'


def _since(index: Index, kept: Kept) -> str:
    if kept.stated is None or kept.document["verdict"] == Status.OK:
        return ""
    try:
        return since_section(since.compared(index, kept.document))
    except ArchiveError as error:
        return (
            f'<p class="quiet">What has changed since the last ok is not known: {escape(error.message)}</p>'
        )


def _more(archive: Path, kept: Kept) -> str:
    """Return what the head has no room for."""
    run = kept.document
    given = {name: value for name, value in run["parameters"].items() if name not in _SAME}
    code = run.get("code") or {}
    facts = {
        "run": run["run_id"],
        "started": run["started_at"],
        "finished": run["finished_at"],
        "planned for": run.get("scheduled_for"),
        "commit": code.get("commit"),
        "notebook, sha256": code.get("sha256"),
        "record": kept.folder.relative_to(archive) if kept.folder.is_relative_to(archive) else "",
    }
    return f"{_section('Parameters', given)}{_steps(run['next'])}{_section('This record', facts)}"


def _section(title: str, values: Mapping[str, Any]) -> str:
    rows = "".join(_pair(name, value) for name, value in values.items() if value not in (None, ""))
    table = f'<table class="pairs"><tbody>{rows}</tbody></table>'
    return f'<section class="over"><h2>{title}</h2>{table}</section>' if rows else ""


def _pair(name: str, value: Any) -> str:
    shown = f"<code>{escape(brief(value, 2000))}</code>"
    return f'<tr><th scope="row">{escape(brief(name))}</th><td>{shown}</td></tr>'


def _steps(steps: list[Mapping[str, Any]]) -> str:
    """Return all next steps with their reasons, where the head does not show all of that already."""
    if len(steps) <= _CARD_STEPS and not any(step.get("why") for step in steps):
        return ""
    items = "".join(map(_step, steps))
    return f'<section class="over"><h2>What to do next</h2><ol class="steps">{items}</ol></section>'


def _step(step: Mapping[str, Any]) -> str:
    why = escape(brief("; ".join(str(step.get("why") or "").splitlines()), 400))
    return f"<li><code>{escape(command(step))}</code> <small>{why}</small></li>"
