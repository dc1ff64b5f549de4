"""`opslib hold`, `dispose`: what must be kept, and what may go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import confirming, options, output, verifying, wording
from opslib.errors import UsageError

if TYPE_CHECKING:
    from opslib.evidence.disposing import Disposals, Due

_MOST_SHOWN = 50
_NO_RULES = "there is no parameters/retention.yml: nothing is ever destroyed"
_reason = click.option(
    "--reason", "-r", required=True, metavar="TEXT", help="Why; it stays in the log, without known secrets."
)


@click.group("hold")
def hold_command() -> None:
    """Keep records from being destroyed, whatever the rules of retention say.

    \b
    opslib hold set 019aa3c1 --reason "dispute with ACME, case 4711"
    opslib hold list
    opslib hold clear 019aa3c1 --reason "case 4711 is closed"
    """


@hold_command.command("set")
@click.argument("run")
@_reason
@options.archive
@options.as_json
def set_command(run: str, reason: str, archive: str | None, as_json: bool) -> int:
    """Put a record on hold."""
    return _hold(run, "set", reason, archive, as_json)


@hold_command.command("clear")
@click.argument("run")
@_reason
@options.archive
@options.as_json
def clear_command(run: str, reason: str, archive: str | None, as_json: bool) -> int:
    """Lift the hold of a record."""
    return _hold(run, "cleared", reason, archive, as_json)


@hold_command.command("list")
@options.archive
@options.as_json
def list_command(archive: str | None, as_json: bool) -> int:
    """List the records that are on hold."""
    from opslib.evidence import disposing
    from opslib.runner import notary

    folder = options.opened_archive(archive)
    held = disposing.held(disposing.read_story(folder, notary.own_trust(folder)))
    if as_json:
        output.emit({"holds": [{"run_id": one.run, "time": one.time, "actor": one.actor, "reason": one.reason}
                               for one in held]})  # fmt: skip
    elif not held:
        output.say("No record is on hold.")
    else:
        rows = [(f"{one.time:%Y-%m-%d %H:%M}", one.run, one.actor, one.reason) for one in held]
        output.table(("SINCE (UTC)", "RUN", "BY", "WHY"), rows)
    return 0


@click.command("dispose")
@click.option("--yes", is_flag=True, help="Destroy them, after a question that only a reader can answer.")
@options.archive
@options.as_json
def dispose_command(yes: bool, archive: str | None, as_json: bool) -> int:
    """Destroy records whose time is over, as parameters/retention.yml demands.

    Without --yes it only says which and why. What is destroyed is the content: the log says for ever that
    the run was there, with which verdict, and by which rule its record went. What is on hold stays.

    \b
    opslib dispose
    opslib dispose --yes
    """
    from opslib import ids
    from opslib.evidence import disposing
    from opslib.runner import notary, origin

    folder = options.opened_archive(archive)
    rules = verifying.rules()
    if rules is None:
        raise UsageError(_NO_RULES, hint="see docs/architecture.md for what it holds")
    trust, now = notary.own_trust(folder), ids.now()
    found = disposing.wanted(folder, disposing.read_story(folder, trust), rules, now)
    if not as_json:
        _show(found)
    if yes and found.due:
        confirming.disposal(len(found.due), found.digest[:12], as_json=as_json)
        disposing.dispose(folder, notary.log_of(folder), trust, rules, found.digest, now, origin.user())
        output.say(f"\nDestroyed: {len(found.due)} records. The log says so; `opslib verify` checks it.")
    elif as_json:
        output.emit(_document(found))
    elif found.due:
        output.say("\nNothing was destroyed. To do it: opslib dispose --yes")
    return 0


def _hold(run: str, state: str, reason: str, archive: str | None, as_json: bool) -> int:
    from opslib import ids
    from opslib.archive.index import Index
    from opslib.evidence import disposing
    from opslib.evidence.events import Hold
    from opslib.runner import notary, origin

    if not reason.strip():
        raise UsageError("--reason is empty", hint="say why, for whoever reads the log in some years")
    wording.must_be_words("reason", reason)
    folder = options.opened_archive(archive)
    known = Index(folder).get(run)
    run_id, words = known["run_id"], wording.masked(reason.strip(), known["system"], known["environment"])
    event = Hold(time=ids.now(), actor=origin.user(), run=run_id, state=state, reason=words)
    disposing.hold(folder, notary.log_of(folder), notary.own_trust(folder), event)
    if as_json:
        output.emit({"run_id": run_id, "state": state, "actor": event.actor, "reason": event.reason})
    else:
        output.say(f"{run_id} is {'on hold' if state == 'set' else 'not on hold any more'}: {event.reason}")
    return 0


def _document(found: Disposals) -> Mapping[str, Any]:
    due = [{**one.left, "files": [subject.name for subject in one.subjects]} for one in found.due]
    return {"due": due, "kept": dict(found.kept), "digest": found.digest}


def _show(found: Disposals) -> None:
    if not found.due:
        output.say("Nothing is due.")
    else:
        output.table(
            ("BEGAN (UTC)", "VERDICT", "PROCEDURE", "SYSTEM", "RULE", "RUN"), map(_row, _shown(found))
        )
        if len(found.due) > _MOST_SHOWN:
            output.say(f"and {len(found.due) - _MOST_SHOWN} more; all with --json")
        output.say(f"\nPlan {found.digest[:12]}: {len(found.due)} records are to be destroyed.", style="bold")
    for why, count in found.kept.items():
        output.say(f"  kept, {why}: {count}", style="dim")


def _shown(found: Disposals) -> tuple[Due, ...]:
    return found.due[:_MOST_SHOWN]


def _row(one: Due) -> tuple[str, ...]:
    when = f"{one.started:%Y-%m-%d %H:%M}"
    rule = f"{one.policy} (begun already)" if one.logged else one.policy
    return (when, one.verdict, one.procedure, f"{one.system} ({one.environment})", rule, one.run)
