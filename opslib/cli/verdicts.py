"""One run's result, as people read it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opslib.cli import output
from opslib.errors import EXIT_USAGE
from opslib.runner.attempt import NEEDS
from opslib.show import commands
from opslib.show.words import HEADLINE, SENTENCE, SIGN, counts
from opslib.verdict import Status


def show(document: Mapping[str, Any]) -> None:
    """Print verdict, cause, findings that are not ok, next steps, record and duration.

    Args:
        document: the object of the `--json` contract.
    """
    status = Status(document["verdict"])
    findings = list(document.get("findings") or [])
    skipped = bool(findings) and all(f["check"] == NEEDS for f in findings)
    headline(status, f"{document['procedure']} on {document['system']} ({document['environment']})")
    if document.get("disposed"):
        gone = document["disposed"]
        output.say(f"  its content was destroyed {gone['time'][:10]} under {gone['policy']}", style="dim")
    elif skipped:
        output.say("  not run: the system's file does not name all that it needs", style="dim")
    elif document.get("cause"):
        output.say(f"  cause: {document['cause']['id']}. {document['cause']['text']}")
    else:
        output.say(f"  {SENTENCE[status]}")
    _also(document)
    _findings(findings)
    _next(document.get("next") or [])
    _where(document)


def plan(document: Mapping[str, Any], folder: Path) -> None:
    """Print that a run has made a plan, and how it goes on; nothing where it has made none.

    Args:
        document: the object of the `--json` contract.
        folder: the archive, which keeps the plan.
    """
    made = document.get("plan")
    if not made or document.get("changed"):
        return
    from opslib.cli.changes import found
    from opslib.show import changes

    kept = found(made["digest"], folder)
    output.say(f"\nPlan {kept.short}: {kept.draft.title} ({', '.join(made['targets'][:3])}{_more(made)})")
    output.say(changes.how_to_go_on(kept, made["needs"]))


def headline(status: Status, what: str) -> None:
    """Print the verdict's word with its sign and colour."""
    output.say(f"{SIGN[status]} {HEADLINE[status]}: {what}", style=output.STYLE[status])


def code(document: Mapping[str, Any]) -> int:
    """Return the exit code that a verdict stands for, or that of a mistake where a parameter was one."""
    if (document.get("cause") or {}).get("id") == "parameter-refused":
        return EXIT_USAGE
    return Status(document["verdict"]).exit_code


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the notes about a run as lines.

    Args:
        rows: as `Note.to_dict` has them.
    """
    return [
        f"Note:   {row['text']} ({row['actor']}, {str(row['time'])[:16].replace('T', ' ')} UTC{_by(row)})"
        if row["readable"]
        else f"Note:   cannot be read: {row['text']}"
        for row in rows
    ]


def _by(note: Mapping[str, Any]) -> str:
    if note["doubt"]:
        return f"; not to be trusted: {note['doubt']}"
    return f", signed with {note['signed_by']}" if note["signed_by"] else ""


def _more(plan: Mapping[str, Any]) -> str:
    left = len(plan["targets"]) - 3
    return f" and {left} more" if left > 0 else ""


def _also(document: Mapping[str, Any]) -> None:
    for cause in list(document.get("causes") or [])[1:3]:
        output.say(f"  also:  {cause['id']}. {cause['text']}")


def _findings(findings: Sequence[Mapping[str, str]]) -> None:
    bad = [f for f in findings if f["status"] != Status.OK]
    bad.sort(key=lambda finding: -Status(finding["status"]).severity)
    if bad:
        output.say("")
        rows = [_row(finding) for finding in bad]
        output.table(("STATUS", "CHECK", "SUBJECT", "OBSERVED", "LIMIT", "WHY"), rows)
    if findings:
        output.say(f"\n{counts([Status(f['status']) for f in findings])}", style="dim")


def _row(finding: Mapping[str, str]) -> tuple[Any, ...]:
    names = ("check", "subject", "observed", "limit", "why")
    return (Status(finding["status"]), *(finding.get(name, "") for name in names))


def _next(steps: Sequence[Mapping[str, Any]]) -> None:
    if steps:
        output.say("\nNext:", style="bold")
    for step in steps[:5]:
        output.say(f"  {commands.step(step)}")
        for reason in str(step.get("why") or "").splitlines():
            output.say(f"    {reason}", style="dim")


def _where(document: Mapping[str, Any]) -> None:
    if document.get("record"):
        output.say(f"\nRecord: {document['record']}")
    if document.get("duration_s"):
        output.say(f"Took:   {document['duration_s']:.1f} s   Run: {document['run_id']}", style="dim")
