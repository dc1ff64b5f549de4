"""The head of a run's page: what was found, why, what to do next, and who looked at what, when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from opslib.show import commands
from opslib.show.words import HEADLINE, SENTENCE, SIGN
from opslib.verdict import Status

SHOWN_FINDINGS = 3
SHOWN_PARAMETERS = 6
LONGEST_VALUE = 160
LONGEST_FIGURE = 24
TRIGGERS = {
    "manual": "by hand",
    "schedule": "on schedule",
    "routine": "in a routine",
    "api": "through the API",
}

Json = Mapping[str, Any]


def card(title: str, predicate: Json) -> str:
    """Return the head of the page.

    Args:
        title: title of the procedure.
        predicate: what the statement of the run states.
    """
    status = Status(predicate["verdict"])
    told = [_cause(predicate, status), _change(predicate), _next(predicate), findings(predicate["findings"])]
    return (
        f'<header class="card {status}">{_verdict(title, predicate, status)}'
        f'<div class="told">{"".join(told)}</div>{_facts(predicate)}</header>'
    )


def findings(rows: Iterable[Json]) -> str:
    """Return the findings as a compact table, the worst first and the good ones folded."""
    ordered = sorted(rows, key=lambda row: -Status(row["status"]).severity)
    bad = [row for row in ordered if row["status"] not in (Status.OK, Status.SKIPPED)]
    good = [row for row in ordered if row["status"] in (Status.OK, Status.SKIPPED)]
    parts = [_table(bad[:SHOWN_FINDINGS]), _folded(bad[SHOWN_FINDINGS:], "more: "), _folded(good, "")]
    return "".join(parts) if ordered else '<p class="quiet">No check was made.</p>'


def command(step: Json) -> str:
    """Return the next step of a record as a command that can be pasted into a shell."""
    return commands.step(step)


def clock(stamp: str) -> str:
    """Return RFC 3339 text as `2026-11-21 03:04:05 UTC`; anything else as it is."""
    day, _, rest = stamp.partition("T")
    return f"{day} {rest[:8]} UTC" if stamp.endswith("Z") and len(rest) >= 9 else stamp


def span(seconds: float | None) -> str:
    """Return a duration in the units that a person would use."""
    if seconds is None:
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def brief(value: Any, limit: int = LONGEST_VALUE) -> str:
    """Return a value as text of at most `limit` characters."""
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def environment(name: str) -> str:
    """Return the name of an environment as a badge; one with real users stands out."""
    marked = "production" if name.casefold().startswith("prod") else "other"
    return f'<b class="environment {marked}">{escape(name)}</b>'


def _verdict(title: str, predicate: Json, status: Status) -> str:
    external = predicate["runDefinition"]["externalParameters"]
    where = f"{escape(str(external['system']))} {environment(str(external['environment']))}"
    return (
        f'<div class="verdict"><span class="sign" aria-hidden="true">{SIGN[status]}</span>'
        f'<h1><strong>{HEADLINE[status]}</strong> <span class="title">{escape(title)}</span></h1>'
        f'<p class="where">{where}</p></div>'
    )


def _cause(predicate: Json, status: Status) -> str:
    causes = predicate.get("causes") or [c for c in [predicate.get("cause")] if c]
    lines = [f"<b>{escape(str(c['id']))}</b> {escape(str(c['text']))}" for c in causes[:3]]
    broke = _broke(predicate.get("error"), [str(c["text"]) for c in causes])
    if broke or not lines:
        lead = (
            f"<b>The run broke.</b> {escape(broke)}"
            if broke
            else escape(_reason(predicate["findings"], status))
        )
        first = f'<p class="cause">{lead}</p>'
    else:
        first = f'<p class="cause"><span class="label">Cause</span> {lines.pop(0)}</p>'
    return first + "".join(
        f'<p class="also"><span class="label">Also</span> {line}</p>' for line in lines[:2]
    )


def _change(predicate: Json) -> str:
    """Say what was changed, or what was proposed and how it goes on."""
    plan, changed = predicate.get("plan"), predicate.get("changed") or []
    if changed:
        counts = Counter(str(row.get("state", "")) for row in changed)
        lead = ", ".join(f"{count} {state}" for state, count in counts.items())
        names = [str(row.get("target", "")) for row in changed]
        told = f"<b>{escape(lead)}</b> {escape(brief(', '.join(names), LONGEST_VALUE))}"
        return f'<p class="next"><span class="label">Changed</span> {told}</p>'
    if not isinstance(plan, Mapping):
        return ""
    short = str(plan.get("digest", "")).removeprefix("sha256:")[:12]
    told = f"{escape(str(plan.get('title', '')))}, until {escape(clock(str(plan.get('expires', ''))))}"
    return (
        f'<p class="next"><span class="label">Plan</span> {told}. Nothing was changed.'
        f"<code>opslib approve {escape(short)} --reason &quot;...&quot;</code>"
        f"<code>opslib apply {escape(short)}</code></p>"
    )


def _broke(error: Any, told: Sequence[str]) -> str:
    """Return what broke the run, unless a cause says so already."""
    text = (
        str(error.get("text") or error.get("type") or "") if isinstance(error, Mapping) else str(error or "")
    )
    return "" if text in told else brief(text, 400)


def _reason(rows: Iterable[Json], status: Status) -> str:
    worst = [row for row in rows if row["status"] == status and row.get("why")]
    sentence = f"{SENTENCE[status][0].upper()}{SENTENCE[status][1:]}."
    return sentence if status is Status.OK or not worst else f"{worst[0]['check']}: {worst[0]['why']}"


def _next(predicate: Json) -> str:
    steps = predicate.get("next") or []
    lines = [f"<code>{escape(command(step))}</code>" for step in steps[:2]]
    return f'<p class="next"><span class="label">Next</span> {"".join(lines)}</p>' if lines else ""


def _folded(rows: Sequence[Json], lead: str) -> str:
    if not rows:
        return ""
    return f"<details><summary>{_summary(rows, lead)}</summary>{_table(rows)}</details>"


def _summary(rows: Sequence[Json], lead: str) -> str:
    statuses = [Status(row["status"]) for row in rows]
    kinds = [s for s in sorted(Status, key=lambda s: -s.severity) if s in statuses]
    total = f"{len(rows)} {lead}" if lead else ""
    return total + ", ".join(_counted(statuses.count(kind), kind, bool(lead)) for kind in kinds)


def _counted(number: int, kind: Status, brief: bool) -> str:
    sign = "" if kind is Status.SKIPPED else f"{SIGN[kind]} "
    noun = "" if brief or kind is not Status.OK else "check " if number == 1 else "checks "
    return f"{sign}{number} {noun}{kind}"


def _table(rows: Sequence[Json]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{word}</th>' for word in ("status", "check", "observed"))
    body = "".join(_row(row) for row in rows)
    return (
        f'<table class="findings"><thead class="unseen"><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _row(row: Json) -> str:
    status = Status(row["status"])
    subject = f" <small>{escape(brief(row['subject']))}</small>" if row.get("subject") else ""
    observed = brief(row.get("observed") or "")
    limit = f" <small>limit {escape(brief(row['limit']))}</small>" if row.get("limit") else ""
    seen = f"{escape(observed)}{limit}"
    mark = f'<td class="status"><span aria-hidden="true">{SIGN[status]}</span><b>{status}</b></td>'
    name, meaning = f"<b>{escape(brief(row['check']))}</b>{subject}", f"<p>{escape(_meaning(row))}</p>"
    if len(observed) > LONGEST_FIGURE:
        # A sentence would make a narrow column high: it goes below the check's name.
        return (
            f'<tr class="{status}">{mark}<td colspan="2">{name}<p class="seen">{seen}</p>{meaning}</td></tr>'
        )
    return f'<tr class="{status}">{mark}<td>{name}{meaning}</td><td class="observed">{seen}</td></tr>'


def _meaning(row: Json) -> str:
    expected = f"expected: {row['expected']}" if row.get("expected") else ""
    return brief(row.get("why") or expected, 400)


def _facts(predicate: Json) -> str:
    meta = predicate["runDetails"]["metadata"]
    took = f'<span class="took">took {span(meta.get("durationSeconds"))}</span>'
    started = escape(str(meta["startedOn"]))
    pairs = [
        ("Started", f'<time datetime="{started}">{escape(clock(str(meta["startedOn"])))}</time>, {took}'),
        ("By", _actor(predicate)),
        ("From", _source(predicate)),
        ("Given", _parameters(predicate["runDefinition"]["externalParameters"].get("parameters") or {})),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{items}</dl>'


def _actor(predicate: Json) -> str:
    internal = predicate["runDefinition"].get("internalParameters") or {}
    user = (predicate.get("actor") or {}).get("user") or {}
    host = (predicate.get("device") or {}).get("hostname")
    words = f"<b>{escape(str(user.get('name') or 'unknown'))}</b>"
    words += f" on {escape(str(host))}" if host else ""
    trigger = str(internal.get("trigger") or "")
    words += f", {escape(TRIGGERS.get(trigger, trigger))}" if trigger else ""
    planned = internal.get("scheduledFor")
    return f"{words}, planned for {escape(clock(str(planned)))}" if planned else words


def _source(predicate: Json) -> str:
    external = predicate["runDefinition"]["externalParameters"]
    sources = predicate["runDefinition"].get("resolvedDependencies") or [{}]
    commit = (sources[0].get("digest") or {}).get("gitCommit")
    changed = (sources[0].get("annotations") or {}).get("changedSinceCommit")
    words = f"<b>{escape(str(external['runbook']))}</b>"
    words += f" at <code>{escape(str(commit)[:12])}</code>" if commit else ", no commit known"
    return f'{words} <span class="changed">changed since</span>' if changed else words


def _parameters(given: Json) -> str:
    rest = {name: value for name, value in given.items() if name not in ("system", "environment")}
    shown = [_parameter(name, value) for name, value in list(rest.items())[:SHOWN_PARAMETERS]]
    more = len(rest) - SHOWN_PARAMETERS
    words = ", ".join(shown) or "system and environment only"
    return f"{words}, and {more} more" if more > 0 else words


def _parameter(name: str, value: Any) -> str:
    return f"<code>{escape(brief(name))}&nbsp;=&nbsp;{escape(brief(value))}</code>"
