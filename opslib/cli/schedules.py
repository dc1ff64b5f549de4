"""`opslib schedule`: what runs when, and running what is due."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.config import Slot
    from opslib.schedule import Due, Ticked


@click.group("schedule")
def schedule_command() -> None:
    """What runs when (parameters/schedule.yml), and running what is due.

    \b
    opslib schedule list
    */5 * * * * cd /srv/runbooks && opslib schedule tick      # a crontab line is all it takes
    """


@schedule_command.command("list")
@options.archive
@options.as_json
def list_slots(archive: str | None, as_json: bool) -> int:
    """Show each slot: next time, last result, state, what was missed.

    \b
    opslib schedule list --json
    """
    from opslib import ids, schedule
    from opslib.archive.index import Index

    index = Index(options.opened_archive(archive))
    now = ids.now()
    slots = _slots(index.archive)
    rows = [_as_dict(slot, schedule.due([slot], index, now), now) for slot in slots]
    if as_json:
        output.emit({"now": ids.stamp(now), "slots": rows})
    elif not rows:
        output.say("Nothing is scheduled: there is no parameters/schedule.yml, or it has no slots.")
    else:
        columns = ("SLOT", "RUNS", "SYSTEM", "NEXT", "LAST", "VERDICT", "STATE", "MISSED")
        output.table(columns, [_row(row) for row in rows])
    return 0


@schedule_command.command("tick")
@options.archive
@options.as_json
def tick(archive: str | None, as_json: bool) -> int:
    """Run once what is due, and say what was missed.

    Two ticks at the same moment run a slot once. The exit code is the worst verdict; 0 when
    nothing was due. After the runs the witnesses of parameters/witnesses.yml, if it is there, are asked to
    hold the head of the log; what they say is told, and changes no exit code.
    """
    from opslib import schedule
    from opslib.archive.index import Index
    from opslib.runner import planning, scheduled

    folder = options.opened_archive(archive)
    done = schedule.tick(_slots(folder), Index(folder), folder, scheduled.start)
    planning.skipped(folder, done)
    witnesses = _witnesses(folder)
    output.emit({**_ticked(done), **witnesses}) if as_json else _say(done)
    return done.status.exit_code


def _slots(archive: Path) -> tuple[Slot, ...]:
    """Return the schedule, of which the log knows by then."""
    from opslib import config
    from opslib.runner import planning

    slots = config.load_schedule()
    planning.seen(archive, slots)
    return slots


def _witnesses(archive: Path) -> dict[str, Any]:
    """Have witnesses hold what was logged; no run may fail because one of them does."""
    from opslib.errors import OpsError
    from opslib.runner import notary

    try:
        found = notary.witnesses()
        if found is None:
            return {}
        from opslib.cli import witnessing
        from opslib.evidence.witnesses import ask_all

        told = ask_all(archive, notary.log_of(archive), found)
    except OpsError as error:
        output.note(f"opslib: witnesses were not asked: {error.message}")
        return {}
    for one in told.witnesses:
        if one.status not in (Status.OK, Status.SKIPPED):
            output.note(f"opslib: witness {one.witness}: {one.text}")
    return {"witnesses": [witnessing.asked(one) for one in told.witnesses]}


def _as_dict(slot: Slot, found: list[Due], now: datetime) -> dict[str, Any]:
    from opslib import ids, schedule

    latest = found[-1] if found else None
    missed = [item for item in found if item.state == "missed"]
    return {
        "slot": slot.id,
        "runs": slot.procedure or f"{slot.routine} routine",
        "system": slot.system,
        "environment": slot.environment,
        "cron": slot.cron,
        "timezone": slot.timezone,
        "owner": slot.owner,
        "next": ids.stamp(schedule.upcoming(slot, now)),
        "latest": ids.stamp(latest.scheduled_for) if latest else None,
        "state": latest.state if latest else "never due",
        "verdict": latest.verdict if latest else "",
        "run_id": latest.run_id if latest else "",
        "missed": len(missed),
        "missed_since": ids.stamp(missed[0].scheduled_for) if missed else None,
    }


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    verdict = Status(row["verdict"]) if row["verdict"] else ""
    missed = f"{row['missed']} since {_minute(row['missed_since'])}" if row["missed"] else ""
    where = f"{row['system']} ({row['environment']})"
    times = (_minute(row["next"]), _minute(row["latest"]))
    return (row["slot"], row["runs"], where, *times, verdict, row["state"], missed)


def _minute(stamp: str | None) -> str:
    return stamp[:16].replace("T", " ") + "Z" if stamp else ""


def _ticked(done: Ticked) -> dict[str, Any]:
    from opslib import ids

    def named(items: tuple[Due, ...]) -> list[dict[str, str]]:
        return [{"slot": i.slot.id, "scheduled_for": ids.stamp(i.scheduled_for)} for i in items]

    return {
        "verdict": str(done.status),
        "ran": list(done.ran),
        "missed": named(done.missed),
        "waiting": named(done.waiting),
    }


def _say(done: Ticked) -> None:
    report = _ticked(done)
    for item in report["missed"]:
        output.say(f"missed: {item['slot']} of {_minute(item['scheduled_for'])} was not run")
    for item in report["waiting"]:
        output.say(f"waiting: {item['slot']} of {_minute(item['scheduled_for'])}: its target is busy")
    if report["ran"]:
        rows = [_ran(entry) for entry in done.ran]
        output.table(("VERDICT", "SLOT", "SCHEDULED FOR", "RECORD OR REASON"), rows)
    elif not report["waiting"]:
        output.say("nothing is due")


def _ran(entry: dict[str, Any]) -> tuple[Any, ...]:
    late = " (late)" if entry["late"] else ""
    moment = f"{_minute(entry['scheduled_for'])}{late}"
    return Status(entry["verdict"]), entry["slot"], moment, entry["error"] or str(entry["record"] or "")
