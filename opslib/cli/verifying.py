"""`opslib verify`: is what is kept what was sealed, and is nothing missing?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import copying, options, output, trusting, verdicts
from opslib.errors import UsageError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.evidence import Report, Scope
    from opslib.evidence.retention import Rule

_FILE = click.Path(path_type=Path)
_ITS_OWN = "leave out --since, --until and --complete"
OWN_KEYS = (
    "the keys are those of this machine: for somebody else's archive, or for an auditor, give --policy and"
    " --runner-keys that came by another way"
)


@click.command("verify")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--since", metavar="TIME", help="Only what happened at or after it, RFC 3339 or a date (UTC).")
@click.option("--until", metavar="TIME", help="Only what happened before it.")
@trusting.keys
@trusting.people
@click.option(
    "--checkpoint",
    "checkpoints",
    metavar="FILE",
    type=_FILE,
    multiple=True,
    help="A head of the log that was kept elsewhere; may be repeated.",
)
@click.option(
    "--complete",
    nargs=2,
    metavar="FROM TO",
    help="This period, and that each moment of the logged schedule has its run; TO may be `now`.",
)
@click.option(
    "--witnesses",
    "ask",
    is_flag=True,
    help="Ask the witnesses of parameters/witnesses.yml which heads they hold, and compare.",
)
@options.archive_or_copy
@options.as_json
def verify_command(
    runs: tuple[str, ...],
    since: str | None,
    until: str | None,
    policy: Path | None,
    runner_keys: Path | None,
    people_keys: Path | None,
    checkpoints: tuple[Path, ...],
    complete: tuple[str, str] | None,
    ask: bool,
    archive: str | None,
    as_json: bool,
) -> int:
    """Check, offline unless --witnesses is given, that records are what was sealed, and that none is missing.

    Without a run, the whole log and every record of the period, or an export that was unpacked: edited,
    deleted, swapped or forged files, a log that was cut, rewritten or forked, runs without an end, changes
    that nobody had approved. Each is named, and so is what cannot be proven. The exit code is 0 when all is
    sound, 2 when it is not, and 3 when something could not be looked at, or a witness not be asked.

    \b
    opslib verify
    opslib verify latest
    opslib verify --archive s3://acme-records/runbooks
    opslib verify --complete 2026-10-01 2026-11-01 --checkpoint checkpoint-of-october
    """
    from opslib.archive.index import Index
    from opslib.evidence import Scope, verify_archive, verify_record
    from opslib.evidence.exported import verify_export
    from opslib.evidence.layout import is_export

    believed = partial(trusting.trusted, policy=policy, runner_keys=runner_keys, people_keys=people_keys)
    place = copying.opened(archive, believed, ask)
    folder = place.folder
    trust = believed(folder)
    kept = (*(_content(path) for path in checkpoints), *place.heads)
    heads, unasked = _held(folder) if ask else ((), ())
    period = (_moment("--since", since), _moment("--until", until))
    scope = Scope(*period, checkpoints=(*kept, *heads), retention=rules())
    unproven = [*unasked, *place.unproven, *([] if policy else [OWN_KEYS])]
    if not policy:
        scope = _witnessed(folder, scope)
    if complete:
        _must_be_alone(runs, since, until)
        scope = _whole(scope, complete)
        unproven += _unlike(folder)
    places = Index(folder).places(*runs)
    if runs:
        reports = {run: verify_record(place, trust, scope) for run, place in places.items()}
    else:
        handed = is_export(folder)
        if handed and not archive:
            # Whoever put an export into the place of the archive must not hide all other runs with it.
            raise UsageError(f"{folder} is an export, not the archive", hint="name an export by --archive")
        if handed and any((since, until, complete)):
            raise UsageError(f"{folder} is an export, which has a period of its own", hint=_ITS_OWN)
        reports = {place.name: (verify_export if handed else verify_archive)(folder, trust, scope)}
    told = {} if policy or place.is_copy else _standing(folder, places)
    if as_json:
        output.emit(_document(reports, unproven, told))
    else:
        for name, report in reports.items():
            _show(name, report, unproven, told.get(name, ""))
    found = [*map(status_of, reports.values()), *([Status.UNKNOWN] if unasked else [])]
    return max(found, key=lambda status: status.severity).exit_code


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


def witnessed(archive: Path, folder: Path) -> str | None:
    """Return in words how far a record is witnessed; None where nobody does."""
    return _standing(archive, {"": folder}).get("")


def _held(archive: Path) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Return the heads that witnesses hold, and who could not be asked."""
    from opslib.evidence.witnesses import read_all
    from opslib.runner import notary

    found = notary.witnesses()
    if found is None:
        raise UsageError("--witnesses: parameters/witnesses.yml names none", hint="leave it out")
    read = read_all(notary.log_of(archive), found)
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


def _must_be_alone(runs: Sequence[str], since: str | None, until: str | None) -> None:
    if runs or since or until:
        raise UsageError(
            "--complete is about all runs of its own period", hint="leave out runs, --since and --until"
        )


def _whole(scope: Scope, complete: tuple[str, str]) -> Scope:
    """Return the scope in which each moment of the schedules that the log holds must have its run."""
    from opslib.runner import planning

    begin, end = complete
    since, until = _moment("--complete", begin), None if end == "now" else _moment("--complete", end)
    if since and until and since >= until:
        raise UsageError(f"--complete {begin} {end} ends before it begins", hint="FROM, then TO")
    return replace(scope, since=since, until=until, moments=planning.between)


def _unlike(archive: Path) -> list[str]:
    """Return, as a sentence, that the schedule of today is not the one that the log holds."""
    from opslib import config
    from opslib.errors import OpsError
    from opslib.evidence.plain import NotSound
    from opslib.runner import planning

    try:
        return [text for text in [planning.unlike(archive, config.load_schedule())] if text]
    except (OpsError, NotSound) as error:
        return [f"whether the schedule of today is the logged one is not known: {error}"]


def status_of(report: Report) -> Status:
    """Return what a verification amounts to; what could not be looked at is unknown."""
    if report.unknown:
        return Status.UNKNOWN
    return Status.OK if report.sound else Status.CRITICAL


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
        hint = "such as 2026-11-21 or 2026-11-21T03:00Z"
        raise UsageError(f"{option} {text} is no moment", hint=hint) from None
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
    verdicts.headline(status_of(report), looked)
    if witnessed:
        output.say(f"  {witnessed}")
    for text in report.unseen:
        output.say(f"  could not be looked at: {text}")
    if report.slots:
        counts = Counter(one.state for one in report.slots)
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        output.say(f"  {len(report.slots)} moments of the schedule: {told}")
    rows = [(str(one.kind), one.subject, one.text) for one in report.findings]
    if rows:
        output.say("")
        output.table(("WHAT", "WHERE", "WHY"), rows)
    output.say("\nnot proven:", style="dim")
    for text in (*report.unproven, *unproven):
        output.say(f"  {text}", style="dim")
