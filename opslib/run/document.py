"""The result of a run in the form that programs read, and the note that people paste."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.show import commands
from opslib.show.words import HEADLINE, SENTENCE, SIGN, counts
from opslib.verdict import Finding, Status, Verdict

if TYPE_CHECKING:
    from opslib.run.session import Ops

SCHEMA = 1


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
        "changed": [result.to_dict() for result in ops.gate.results],
        "calls": [asdict(call) for call in ops.calls],
        "started_at": ids.stamp(ops.started),
        "finished_at": ids.stamp(ids.now()),
    }


def next_steps(ops: Ops, verdict: Verdict) -> list[dict[str, Any]]:
    """Return the procedures to go on with, each once, those of the worst findings first."""
    wanted = [f for f in _worst_first(verdict) if f.next and f.next != ops.procedure]
    steps: dict[str, dict[str, Any]] = {}
    for finding in wanted:
        parameters = {"system": ops.system.name, "environment": ops.env.name, **finding.next_parameters}
        why = f"{finding.check}: {finding.why or finding.observed}"
        step = steps.setdefault(
            finding.next, {"procedure": finding.next, "parameters": parameters, "why": why}
        )
        _join(step["parameters"], parameters)
    return list(steps.values())


def _join(given: dict[str, Any], more: dict[str, Any]) -> None:
    """Add what another finding names to the lists of a step that is there."""
    for name, value in more.items():
        if isinstance(value, list):
            given[name] = [*dict.fromkeys([*given.get(name, []), *value])]


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
    lines += [f"Next: {commands.run(step['procedure'], step['parameters'])}" for step in steps]
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
    subject = f" {finding.subject}" if finding.subject else ""
    limit = f" (limit {finding.limit})" if finding.limit else ""
    why = f": {finding.why}" if finding.why else ""
    return f"{finding.status} {finding.check}{subject}: {finding.observed}{limit}{why}"
