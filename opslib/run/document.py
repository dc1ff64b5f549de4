"""The result of a run in the form that programs read, and the note that people paste."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opslib import catalog, ids
from opslib.errors import ConfigError
from opslib.show import commands
from opslib.show.words import HEADLINE, SENTENCE, SIGN, counts
from opslib.verdict import Finding, Status, Verdict

if TYPE_CHECKING:
    from opslib.run.session import Ops

SCHEMA = 1
_MOST_REASONS = 4


def build(ops: Ops, verdict: Verdict) -> dict[str, Any]:
    """Return the typed output of a run: the JSON contract as far as the kernel knows it."""
    causes = [cause.to_dict() for cause in verdict.causes]
    return {
        "schema": SCHEMA,
        "run_id": ops.run_id,
        "procedure": ops.procedure,
        "system": ops.system.name,
        "environment": ops.env.name,
        "verdict": str(verdict.status),
        "cause": causes[0] if causes else None,
        "causes": causes,
        "findings": [finding.to_dict() for finding in verdict.findings],
        "next": next_steps(ops, verdict),
        "plan": ops.gate.document,
        "no_plan": ops.gate.no_plan,
        "changed": [result.to_dict() for result in ops.gate.results],
        "calls": [asdict(call) for call in ops.calls],
        "started_at": ids.stamp(ops.started),
        "finished_at": ids.stamp(ids.now()),
    }


def next_steps(ops: Ops, verdict: Verdict) -> list[dict[str, Any]]:
    """Return the procedures to go on with, each once, those of the worst findings first."""
    wanted = [f for f in _worst_first(verdict) if f.next and f.next != ops.procedure]
    changing = _changing() if wanted else frozenset()
    steps: dict[str, dict[str, Any]] = {}
    for finding in wanted:
        parameters = {"system": ops.system.name, "environment": ops.env.name, **finding.next_parameters}
        verb = "plan" if finding.next in changing else "run"
        fresh = {"procedure": finding.next, "parameters": parameters, "why": "", "verb": verb}
        step = steps.setdefault(finding.next, fresh)
        step["parameters"] = parameters if step is fresh else _joined(step["parameters"], parameters)
    for name, step in steps.items():
        step["why"] = _reasons([finding for finding in wanted if finding.next == name])
    return list(steps.values())


def _changing() -> frozenset[str]:
    """Return the procedures that can change something; none where the catalogue cannot be read."""
    try:
        return frozenset(one.id for one in catalog.load().procedures if one.changes)
    except ConfigError:
        return frozenset()


def _joined(given: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a step for another finding too.

    What several name in a list is one list. Where one of them names none, the step is about all there
    is: the list of the other would leave out the very thing that is to be mended.
    """
    lists = [name for name, value in {**more, **given}.items() if isinstance(value, list)]
    both = {n: [*dict.fromkeys([*given[n], *more[n]])] for n in lists if n in given and n in more}
    return {name: value for name, value in given.items() if name not in lists} | both


def _reasons(findings: list[Finding]) -> str:
    """Return why one goes on there: a line for each finding."""
    lines = list(
        dict.fromkeys(f"{_named(finding)}: {finding.why or finding.observed}" for finding in findings)
    )
    left = len(lines) - _MOST_REASONS
    return "\n".join([*lines[:_MOST_REASONS], *([f"and {left} more"] if left > 0 else [])])


def _named(finding: Finding) -> str:
    return f"{finding.check} {finding.subject}".rstrip()


def note(ops: Ops, verdict: Verdict) -> str:
    """Return a note ready to paste into a ticket or a chat."""
    status = verdict.status
    lines = [
        f"{SIGN[status]} {HEADLINE[status]}: {ops.procedure} on {ops.system.name} ({ops.env.name})",
        f"{ops.started:%Y-%m-%d %H:%M} UTC, run {ops.run_id}",
    ]
    lines += [f"Cause: {cause.id}. {cause.text}" for cause in verdict.causes[:3]]
    lines += [f"- {_line(finding)}" for finding in _worst_first(verdict)[:8]]
    if status is Status.OK:
        lines.append(f"{counts([f.status for f in verdict.findings])}; {SENTENCE[status]}.")
    lines += _change(ops)
    steps = next_steps(ops, verdict)[:3]
    lines += [f"Next: {commands.step(step)}" for step in steps]
    return "\n".join(lines)


def _change(ops: Ops) -> list[str]:
    """Say what was changed, or which plan waits for its approval."""
    plan, results = ops.gate.shown, ops.gate.results
    if results:
        return [f"Changed: {r.target}: {r.state}{f' ({r.text})' if r.text else ''}" for r in results[:8]]
    if plan is None:
        return []
    return [f"Plan {plan.short}: {plan.draft.title}", f'To go on: opslib approve {plan.short} --reason "..."']


def _worst_first(verdict: Verdict) -> list[Finding]:
    bad = [f for f in verdict.findings if f.status not in (Status.OK, Status.SKIPPED)]
    return sorted(bad, key=lambda finding: -finding.status.severity)


def _line(finding: Finding) -> str:
    limit = f" (limit {finding.limit})" if finding.limit else ""
    why = f": {finding.why}" if finding.why else ""
    return f"{finding.status} {_named(finding)}: {finding.observed}{limit}{why}"
