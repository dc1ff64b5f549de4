"""A plan and what became of it, in HTML and in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opslib.acts import Act
from opslib.gate.plan import Plan, Target, Values
from opslib.gate.results import Result
from opslib.gate.wording import change, seen, words
from opslib.show import commands, figures, plainly
from opslib.show.markup import escaped
from opslib.verdict import Status

NEEDS = {
    "none": "no approval is needed",
    "self": "an approval is needed; your own counts",
    "other": "the approval of another person is needed",
    "break-glass": "the glass must be broken: a reason now, and another person's review afterwards",
}
_CHECKSUM = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_LONG_MIN = 120
NOTHING = "there is nothing to change"
_COLUMNS = ("target", "change", "seen, and must still be so", "what is done", "way back", "users notice")
_RESULTS = ("target", "what became of it", "when", "why", "what was done")


def plan(plan: Plan, need: str) -> str:
    """Return a plan as HTML: everything that an approval covers."""
    head = [
        f'<p class="opslib-plan-title"><b>{escaped(_sentence(plan.draft.title))}</b></p>',
        f"<p>{escaped(where(plan, need))}</p>",
        f"<p>{escaped(plan.draft.blast)}{escaped(_figures(plan.draft.numbers))}</p>",
    ]
    rows = [_target(target) for target in plan.draft.targets]
    tail = [_list("Cannot be undone", plan.draft.not_undoable), _list("To undo", plan.draft.undo)]
    tail.append(_list("Left out", [f"{name}: {why}" for name, why in plan.draft.left_out.items()]))
    return f'<div class="opslib-plan">{"".join(head)}{_table(_COLUMNS, rows)}{"".join(tail)}</div>'


def plan_text(plan: Plan, need: str, asked: Values) -> str:
    """Return a plan in plain words, for terminals.

    Args:
        plan: all that an approval covers.
        need: what it needs, one of `NEEDS`.
        asked: its parameters, without those that are as the procedure declares them.
    """
    draft = plan.draft
    lines = [_sentence(draft.title), where(plan, need), f"{draft.blast}{_figures(draft.numbers)}", ""]
    if asked:
        lines[2:2] = [f"asked for: {words(asked)}"]
    effects = {target.effect for target in draft.targets}
    together = len(effects) == 1 < len(draft.targets)
    for number, target in enumerate(draft.targets, 1):
        lines += [f"{number:3}. {target.name}", *_about(target, "" if together else target.effect)]
    lines += [f"  users, of each: {effect}" for effect in effects if together and effect]
    lines += [f"  left out: {name}: {why}" for name, why in draft.left_out.items()]
    lines += [f"  cannot be undone: {text}" for text in draft.not_undoable]
    lines += [f"  to undo: {text}" for text in draft.undo]
    # A name with a line break could look like a target of its own.
    return "\n".join(map(plainly.line, lines))


def _about(target: Target, effect: str) -> list[str]:
    """Return the lines below a target's name; a checksum is cut, as the plan's digest covers it whole."""
    told = {"": change(target), "seen:  ": seen(target), "does:  ": _does(target.act), "users: ": effect}
    return [_CHECKSUM.sub(_cut, f"     {what}{text}") for what, text in told.items() if text]


def _cut(checksum: re.Match[str]) -> str:
    return f"{checksum[1]}…"


def where(plan: Plan, need: str) -> str:
    """Return where, what risk, until when and what it needs."""
    count = len(plan.draft.targets)
    targets = f"{count} target{'' if count == 1 else 's'}"
    place = f"{plan.system} ({plan.environment}) · {targets} · risk {plan.draft.risk}"
    return f"{place} · plan {plan.short} · until {plan.expires_at} · {NEEDS[need]}"


def how_to_go_on(plan: Plan, need: str) -> str:
    """Return the commands with which a plan goes on."""
    glass = " --break-glass" if need == "break-glass" else ""
    approve = f'opslib approve {plan.short}{glass} --reason "..."\n' if need != "none" else ""
    return f"Nothing was changed. To go on:\n{approve}opslib apply {plan.short}{_value_again(plan)}"


def no_plan(left_out: Mapping[str, str], status: Status, untold: Sequence[str], procedure: str) -> str:
    """Return why there is no plan.

    Args:
        left_out: what looked like a target and is none: name -> why.
        status: the verdict so far.
        untold: parameters by which something could be chosen, and nothing was.
        procedure: its id.
    """
    if left_out:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        return f"nothing that could be done now. Left out: {reasons}"
    asked = f"{', '.join(untold)} (opslib run {procedure} --help)"
    if status in (Status.OK, Status.SKIPPED):
        return f"there is nothing to change, unless it is named: {asked}" if untold else NOTHING
    why = "something could not be looked at" if status is Status.UNKNOWN else "this is mended by hand"
    return f"none; {why}, see WHY{f', or is asked for with {asked}' if untold else ''}"


def afterwards(plan: Plan, run_id: str, asked: Values) -> str:
    """Return the command that takes back what was done; of an undo, the one that plans it again.

    Args:
        plan: what was done.
        run_id: the run that did it.
        asked: the plan's parameters that are not the defaults.
    """
    if plan.undoes:
        place = {"system": plan.system, "environment": plan.environment}
        again = commands.run(plan.procedure, {**place, **asked}, verb="plan")
        return f"To do it again: {again}{_value_again(plan)}"
    undo = any(target.undo for target in plan.draft.targets)
    return f"To take it back: opslib undo {run_id[:13]}" if undo else ""


def results(rows: Iterable[Result]) -> str:
    """Return what became of each target as HTML."""
    cells = [(r.target, str(r.state), r.at, r.text, r.act) for r in rows]
    return f'<div class="opslib-plan">{_table(_RESULTS, cells)}</div>'


def results_text(rows: Iterable[Result]) -> str:
    """Return what became of each target in plain words."""
    return "\n".join(plainly.line(f"{r.target}: {r.state} {r.at} {r.text}".rstrip()) for r in rows)


def _value_again(plan: Plan) -> str:
    """Return the option for a value from standard input: it is kept nowhere, so it must be given again."""
    known = plan.draft.settings
    return " --stdin" if known.get("digest") and known.get("reference") == "env:OPSLIB_INPUT" else ""


def _target(target: Target) -> tuple[str, ...]:
    what = (target.name, change(target), seen(target), _does(target.act))
    return (*what, _way_back(target.undo), target.effect)


def _way_back(act: Act | None) -> str:
    return _does(act) if act else "none"


def _does(act: Act) -> str:
    """Return an act literally; a value that is put in at the last moment shows as its label."""
    return f"{act.text} {act.sent}".rstrip()


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _figures(numbers: Mapping[str, Any]) -> str:
    said = [f"{figures.counted(value, name)}{_hours(name, value)}" for name, value in numbers.items()]
    return f" ({', '.join(said)})" if said else ""


def _hours(name: str, value: Any) -> str:
    """Say how long many minutes are; the figure itself stays, as whoever approves types it."""
    long = name.startswith("minutes") and isinstance(value, int) and value >= _LONG_MIN
    return f", that is {value / 60:.3g} hours" if long else ""


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<p><b>{escaped(title)}</b></p><ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escaped(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="opslib-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
