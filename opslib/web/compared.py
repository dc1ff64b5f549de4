"""Two runs compared, and a procedure over time."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from opslib.archive import diff, disposed
from opslib.archive.index import Index
from opslib.errors import ConfigError, UsageError
from opslib.runner.card import brief, environment
from opslib.runner.since import table
from opslib.show import differences
from opslib.show.words import HEADLINE, SIGN
from opslib.trends import page as over_page
from opslib.trends.facts import Flip
from opslib.trends.gather import gather
from opslib.verdict import Status
from opslib.web import frame
from opslib.web.library import Library

SIDES = ("before", "after")
TARGET = ("procedure", "system", "environment")


def two(library: Library, index: Index, asked: Mapping[str, str]) -> str:
    """Return the page of two runs.

    Args:
        library: whose records are read.
        index: its index.
        asked: `before` and `after`, as `opslib diff` takes them.

    Raises:
        UsageError: one of them is not given.
        UnknownName: there is no such run.
    """
    _needed(asked, SIDES)
    known = [index.get(asked[side]) for side in SIDES]
    disposed.must_be_there(*known)
    runs = [library.kept(one) for one in known]
    found = diff.compare(runs[0].document, runs[1].document)
    lost = "".join(f'<p class="critical lost">{escape(run.fault)}</p>' for run in runs if run.fault)
    sides = "".join(_side(word, run.document) for word, run in zip(("Before", "After"), runs, strict=True))
    moved = f"<h2>Values that moved</h2>{table(found.moved)}" if found.moved else ""
    turned = {"before": runs[1].document["run_id"], "after": runs[0].document["run_id"]}
    body = (
        f'<header class="list"><h1>What differs between two runs</h1></header>{lost}'
        f'<div class="sides">{sides}</div><main class="over"><h2>{escape(differences.summary(found))}</h2>'
        f"{table(found.told)}{moved}</main>"
        f'<nav class="buttons">{frame.link("/diff", "The other way round", turned)}</nav>'
    )
    return frame.document("What differs between two runs", body)


def over_time(index: Index, asked: Mapping[str, str]) -> str:
    """Return the page of a procedure over time.

    Args:
        index: the archive's index.
        asked: procedure, system, environment, and the key of a finding whose numbers are wanted.

    Raises:
        UsageError: one of them is not given.
        UnknownName: no such run is kept, or no finding of that key has a number.
    """
    from opslib import config

    _needed(asked, TARGET)
    target, told = {name: asked[name] for name in TARGET}, ""
    try:
        slots = config.load_schedule()
    except ConfigError as error:
        slots, told = (), f'<p class="quiet">What was missed is not known: {escape(error.message)}</p>'
    over = gather(index, slots, target, key=asked.get("key", ""))
    links = [frame.link("/", "All of these runs", target)]
    links += [_flip(flip) for flip in over.flips[:1]]
    body = over_page.body(over, over.procedure, frame.RUNS)
    foot = f'{told}<nav class="buttons" aria-label="These runs">{" ".join(links)}</nav>'
    return frame.document(f"{over.procedure} on {over.system}, over time", f"{body}{foot}")


def _flip(flip: Flip) -> str:
    """Return a link to what differed when a verdict fluttered."""
    return frame.link(
        "/diff", "What differed when it fluttered", {"before": flip.before, "after": flip.after}
    )


def _needed(asked: Mapping[str, str], names: tuple[str, ...]) -> None:
    lacking = [name for name in names if not asked.get(name)]
    if lacking:
        raise UsageError(f"the address lacks {', '.join(lacking)}", hint="go there by a link of this archive")


def _side(word: str, run: Mapping[str, Any]) -> str:
    status = Status(run["verdict"])
    place = escape(frame.run_address(run["run_id"]))
    mark = f'<span class="mark" aria-hidden="true">{SIGN[status]}</span> <b>{HEADLINE[status]}</b>'
    where = f"{escape(brief(run['system']))} {environment(run['environment'])}"
    return (
        f'<section class="side {status}" aria-label="{word}"><h2>{word}</h2><p>{mark} '
        f'<a href="{place}">{escape(brief(run["procedure"]))}</a></p><p>{where}</p>'
        f"<p>{frame.moment(run['started_at'])}</p></section>"
    )
