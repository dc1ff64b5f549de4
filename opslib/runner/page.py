"""The page of a run: one file that says first what was found, and needs no network to be read.

It is part of the sealed record, so it says nothing that is known only later, such as the record's
place in a log.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from opslib.archive.since import Since
from opslib.runner import outputs
from opslib.runner.card import card, clock, span
from opslib.runner.since import section
from opslib.show.words import SIGN, unread
from opslib.verdict import Status

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHOWN_RUNS = 30
SHOWN_CALLS = 200
_REDACTION = ("masked", "found", "withheld", "unscanned")

Json = Mapping[str, Any]


def render(
    notebook: Json, statement: Json, history: Sequence[Json], since: Since | None = None, unreadable: int = 0
) -> str:
    """Return the page of a run.

    Args:
        notebook: the executed notebook, nbformat 4, secrets masked already.
        statement: the in-toto statement of the run, or one without its final subjects.
        history: runs of the same procedure on the same system and environment, the oldest first and this
            one last: `run_id`, `verdict`, `started_at` (RFC 3339), `duration_s` (seconds or None).
        since: the last ok run, against which one that is not ok is held.
        unreadable: how many records of the archive cannot be read.
    """
    stated = statement["predicate"]
    title = _title(notebook, stated)
    body = [
        card(title, stated),
        section(since),
        strip(history, unreadable),
        f'<main class="notebook" aria-label="What was done">{outputs.notebook(notebook)}</main>',
        _calls(stated.get("calls") or []),
        _footer(statement),
    ]
    return document(f"{SIGN[Status(stated['verdict'])]} {title}", "\n".join(body))


def prepare() -> None:
    """Do what the first page of a process would wait for: the grammar of Python is made when it is used."""
    outputs.notebook({"cells": [{"cell_type": "code", "source": "pass"}]})


def strip(history: Sequence[Json], unreadable: int = 0) -> str:
    """Return the last runs as bars: height is duration, sign and colour the verdict.

    Args:
        history: as for `render`; only the last 30 are shown.
        unreadable: as for `render`.
    """
    runs = list(history)[-SHOWN_RUNS:]
    more = f". {escape(unread(unreadable))}." if unreadable else ""
    if not runs:
        return '<p class="history quiet">Earlier runs could not be read.</p>'
    if len(runs) < 2:
        return f'<p class="history quiet">First run here: nothing to compare it with yet{more or "."}</p>'
    longest = max((run.get("duration_s") or 0.0) for run in runs) or 1.0
    bars = "".join(_bar(run, longest, run is runs[-1]) for run in runs)
    words = _summary(runs)
    return (
        f'<figure class="history"><div class="bars" role="img" aria-label="{escape(words)}">{bars}</div>'
        f"<figcaption>{escape(words)}{more}</figcaption></figure>"
    )


def _bar(run: Json, longest: float, last: bool) -> str:
    status = Status(run["verdict"])
    seconds = run.get("duration_s")
    height = max(8, round(100 * (seconds or 0.0) / longest))
    told = f"{clock(str(run['started_at']))}: {status}, {span(seconds)}{' (this run)' if last else ''}"
    sign = "" if status is Status.OK else SIGN[status]
    return (
        f'<span class="run {status}{" this" if last else ""}" title="{escape(told)}">'
        f'<i style="height:{height}%"></i><b>{sign}</b></span>'
    )


def _summary(runs: Sequence[Json]) -> str:
    verdicts = [Status(run["verdict"]) for run in runs]
    order = sorted(Status, key=lambda status: status.severity)
    kinds = ", ".join(f"{verdicts.count(s)} {s}" for s in order if s in verdicts)
    known = [run["duration_s"] for run in runs if run.get("duration_s") is not None]
    usual = f"; usually {span(statistics.median(known))}" if known else ""
    return f"Last {len(runs)} runs here: {kinds}{usual}"


def _calls(calls: Sequence[Json]) -> str:
    if not calls:
        return ""
    failed = sum(not call.get("ok", True) for call in calls)
    words = f"{len(calls)} question{'' if len(calls) == 1 else 's'} put to sources"
    words += f", {failed} without an answer" if failed else ""
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("source", "question", "rows", "took", "answer")
    )
    rows = "".join(_call(call) for call in calls[:SHOWN_CALLS])
    table = f'<table class="opslib-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    more = f'<p class="quiet">and {len(calls) - SHOWN_CALLS} more</p>' if len(calls) > SHOWN_CALLS else ""
    return (
        f'<details class="calls"><summary>{words}</summary><div class="scroll">{table}</div>{more}</details>'
    )


def _call(call: Json) -> str:
    rows = "" if call.get("rows") is None else call["rows"]
    answer = "✔ ok" if call.get("ok", True) else f"✖ {str(call.get('error', ''))[:300]}"
    took = f"{float(call.get('ms') or 0.0):.0f} ms"
    cells = (call.get("source", ""), str(call.get("what", ""))[:300], rows, took, answer)
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _footer(statement: Json) -> str:
    stated = statement["predicate"]
    digests = {
        s.get("name"): (s.get("digest") or {}).get("sha256", "") for s in statement.get("subject") or []
    }
    redacted = _redacted(stated.get("redaction") or {})
    versions = (stated["runDetails"].get("builder") or {}).get("version") or {}
    lines = [
        ("run", stated["runDetails"]["metadata"]["invocationId"]),
        ("sha256 of run.ipynb", digests.get("run.ipynb", "")),
        ("made with", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    items = "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in lines if value
    )
    return f"<footer><dl>{items}</dl>{f'<p>{escape(redacted)}</p>' if redacted else ''}</footer>"


def _redacted(redaction: Json) -> str:
    """Return what was taken out of the record, so that nobody takes a hole for the whole."""
    masked, found, withheld, unscanned = (redaction.get(name) or {} for name in _REDACTION)
    said = [f"{sum(masked.values())} secret values redacted: {', '.join(sorted(masked))}"] if masked else []
    said += [f"{sum(found.values())} redacted by their looks: {', '.join(sorted(found))}"] if found else []
    said += [f"{withheld} texts withheld, as they could not be looked through"] if withheld else []
    said += (
        [f"{sum(unscanned.values())} not looked into: {', '.join(sorted(unscanned))}"] if unscanned else []
    )
    return "; ".join(said)


def _title(notebook: Json, stated: Json) -> str:
    own = ((notebook.get("metadata") or {}).get("opslib") or {}).get("title")
    return str(own or stated["runDefinition"]["externalParameters"]["runbook"])


def document(title: str, body: str) -> str:
    """Return a whole page, which needs and may load nothing else.

    Args:
        title: plain text.
        body: HTML that is safe already.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{_sheet("opslib.show", "show.css")}{_sheet("opslib.runner", "page.css")}</style></head>
<body>{body}</body></html>
"""


def _sheet(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
