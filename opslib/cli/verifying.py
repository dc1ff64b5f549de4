"""`opslib verify`: is what is kept what was sealed, and is nothing missing?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output, verdicts
from opslib.errors import UsageError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.evidence import Report, Scope, Slot, Trust
    from opslib.evidence.retention import Rule

_FILE = click.Path(path_type=Path)
_KEYS = (
    click.option("--policy", metavar="FILE", type=_FILE, help="Whom to believe: logs, witnesses, quorum."),
    click.option("--runner-keys", metavar="FILE", type=_FILE, help="Public keys of runners, one a line."),
)
OWN_KEYS = (
    "the keys are those of this machine: for somebody else's archive, or for an auditor, give --policy and"
    " --runner-keys that came by another way"
)


def keys(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `trusted` reads."""
    for option in reversed(_KEYS):
        command = option(command)
    return command


@click.command("verify")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--since", metavar="TIME", help="Only what happened at or after it, RFC 3339 or a date (UTC).")
@click.option("--until", metavar="TIME", help="Only what happened before it.")
@keys
@click.option(
    "--checkpoint",
    "checkpoints",
    metavar="FILE",
    type=_FILE,
    multiple=True,
    help="A head of the log that was kept elsewhere; may be repeated.",
)
@click.option(
    "--complete", is_flag=True, help="Also that each moment of the schedule since --since has its run."
)
@click.option(
    "--witnesses",
    "ask",
    is_flag=True,
    help="Ask the witnesses of parameters/witnesses.yml which heads they hold, and compare.",
)
@options.archive
@options.as_json
def verify_command(
    runs: tuple[str, ...],
    since: str | None,
    until: str | None,
    policy: Path | None,
    runner_keys: Path | None,
    checkpoints: tuple[Path, ...],
    complete: bool,
    ask: bool,
    archive: str | None,
    as_json: bool,
) -> int:
    """Check, offline unless --witnesses is given, that records are what was sealed, and that none is missing.

    Without a run, the whole log and every record of the period: edited, deleted, swapped or forged files, a
    log that was cut, rewritten or forked, runs without an end. Each is named, and so is what cannot be
    proven. The exit code is 0 when all is sound, 2 when it is not, and 3 when a witness could not be asked.

    \b
    opslib verify
    opslib verify latest
    opslib verify --since 2026-11-01 --complete --checkpoint checkpoint-of-october
    """
    from opslib.evidence import Scope, verify_archive, verify_record

    folder = options.opened_archive(archive)
    trust = trusted(folder, policy, runner_keys)
    kept = tuple(_content(path) for path in checkpoints)
    heads, unasked = _held(folder) if ask else ((), ())
    period = (_moment("--since", since), _moment("--until", until))
    scope = Scope(*period, checkpoints=(*kept, *heads), retention=rules())
    if not policy:
        scope = _witnessed(folder, scope)
    if complete:
        scope = replace(scope, slots=_slots(scope))
    places = _folders(folder, runs) if runs else {}
    if runs:
        reports = {run: verify_record(place, trust, scope) for run, place in places.items()}
    else:
        reports = {str(folder): verify_archive(folder, trust, scope)}
    unproven = [*unasked, *([] if policy else [OWN_KEYS])]
    told = {} if policy else _standing(folder, places)
    if as_json:
        output.emit(_document(reports, unproven, told))
    else:
        for name, report in reports.items():
            _show(name, report, unproven, told.get(name, ""))
    if not all(report.sound for report in reports.values()):
        return Status.CRITICAL.exit_code
    return (Status.UNKNOWN if unasked else Status.OK).exit_code


def _witnessed(archive: Path, scope: Scope) -> Scope:
    """Return the scope with what our own file says: how late a cosignature may be, whose stamps count."""
    from opslib.runner import notary

    found = notary.witnesses()
    if found is None:
        return scope
    from opslib.evidence.witnesses import read_stamps

    late = timedelta(hours=found.late_hours)
    return replace(scope, late=late, patience=late, stamps=read_stamps(archive / notary.LOG, found))


def _standing(archive: Path, places: Mapping[str, Path]) -> dict[str, str]:
    """Return in words how far each record, or the archive, is witnessed; nothing where nobody does."""
    from opslib.runner import notary

    found = notary.standing(archive)
    if found is None:
        return {}
    return {run: found.told(place) for run, place in places.items()} or {str(archive): found.summary}


def _held(archive: Path) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Return the heads that witnesses hold, and who could not be asked."""
    from opslib.evidence.witnesses import read_all
    from opslib.runner import notary

    found = notary.witnesses()
    if found is None:
        raise UsageError("--witnesses: parameters/witnesses.yml names none", hint="leave it out")
    read = read_all(notary.own_log(archive), found)
    heads = tuple(one.note.encode() for one in read if one.note)
    return heads, tuple(f"{one.witness} could not be asked: {one.fault}" for one in read if one.fault)


def rules() -> tuple[Rule, ...] | None:
    """Return the rules of retention; None where there are none, or no parameters at all.

    Raises:
        ConfigError: the file is wrong.
    """
    from opslib import config
    from opslib.errors import ConfigError
    from opslib.evidence.retention import Rule

    try:
        folder = config.find_parameters()
    except ConfigError:
        return None  # an archive can be looked at from anywhere
    found = config.load_retention(folder)
    if found is None:
        return None
    return tuple(Rule(**{**dict(one), "failure_days": one.failure_days or one.days}) for one in found)


def trusted(archive: Path, policy: Path | None, runner_keys: Path | None) -> Trust:
    """Return whom to believe: what the files say, else the keys of this machine.

    Raises:
        UsageError: one of the files was given without the other.
        ConfigError: one cannot be read, or is not understood.
    """
    from opslib.evidence import load_trust
    from opslib.runner import notary

    if bool(policy) != bool(runner_keys):
        raise UsageError("--policy and --runner-keys belong together", hint="give both, or none")
    return load_trust(policy, runner_keys) if policy and runner_keys else notary.own_trust(archive)


def _slots(scope: Scope) -> tuple[Slot, ...]:
    """Return the moments of the schedule, as it is now, that lie in the period and are over."""
    from opslib import config, schedule
    from opslib.evidence import Slot

    since = scope.since
    if since is None:
        raise UsageError("--complete needs a beginning", hint="give --since")
    until = min(scope.until or scope.present, scope.present)
    return tuple(
        Slot(schedule.name(slot), moment)
        for slot in config.load_schedule()
        for moment in takewhile(lambda moment: moment >= since, schedule.moments(slot, until))
    )


def _folders(archive: Path, runs: Sequence[str]) -> dict[str, Path]:
    from opslib.archive.index import Index

    index = Index(archive)
    documents = [index.get(run) for run in runs]
    for document in documents:
        if gone := document.get("disposed"):
            why = f"the content of {document['run_id']} was destroyed under {gone['policy']}"
            raise UsageError(why, hint="`opslib verify` without a run looks at the log, which says so")
    return {document["run_id"]: Path(document["record"]) for document in documents}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise UsageError(f"{path}: the checkpoint cannot be read: {why}") from None


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text} is no moment", hint="such as 2026-11-21 or 2026-11-21T03:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _document(
    reports: Mapping[str, Report], unproven: Sequence[str], told: Mapping[str, str]
) -> dict[str, Any]:
    found = [{"subject": name, **report.to_dict()} for name, report in reports.items()]
    for name, one in zip(reports, found, strict=True):
        one |= {"witnessed": told[name]} if name in told else {}
    for one in found:
        one["unproven"] = [*one["unproven"], *unproven]
    return {"sound": all(one["sound"] for one in found), "reports": found}


def _show(name: str, report: Report, unproven: Sequence[str], witnessed: str) -> None:
    looked = f"{name}: {report.records} records, {report.leaves} leaves of the log"
    verdicts.headline(Status.OK if report.sound else Status.CRITICAL, looked)
    if witnessed:
        output.say(f"  {witnessed}")
    rows = [(str(one.kind), one.subject, one.text) for one in report.findings]
    if rows:
        output.say("")
        output.table(("WHAT", "WHERE", "WHY"), rows)
    output.say("\nnot proven:", style="dim")
    for text in (*report.unproven, *unproven):
        output.say(f"  {text}", style="dim")
