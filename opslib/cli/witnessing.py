"""`opslib witness`: others hold the head of our log, and we hold that of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opslib.cli import options, output
from opslib.errors import UsageError
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.config import Witnesses
    from opslib.evidence.witnesses import Asked, Read
    from opslib.evidence.witnesses.service import Service

_FILE = click.Path(path_type=Path)
_PORT = 8720


@click.group("witness")
def witness_command() -> None:
    """Others hold the head of our log (parameters/witnesses.yml), and we hold that of theirs.

    \b
    opslib witness key                       what you and the other team give each other
    opslib witness serve --listen 127.0.0.1:8720
    */5 * * * *  cd /srv/runbooks && opslib witness ask
    """


@witness_command.command("ask")
@options.archive
@options.as_json
def ask(archive: str | None, as_json: bool) -> int:
    """Have every witness hold the head of our log, and give records what they have signed.

    No run waits for this: let cron do it; `opslib schedule tick` does it too. The exit code is 0 when all
    hold the head, 3 when one could not be asked, which the next time makes up for, and 2 when one holds
    what our log does not continue: then the log was cut back or rewritten.

    \b
    opslib witness ask --json
    """
    from opslib.evidence.witnesses import ask_all, worst
    from opslib.runner import notary

    folder = options.opened_archive(archive)
    told = ask_all(folder, notary.log_of(folder), _configured())
    if as_json:
        rows = [asked(one) for one in told.witnesses]
        output.emit({"witnesses": rows, "completed": told.completed})
    else:
        output.table(("WITNESS", "KIND", "", "WHAT IT SAYS"), [_asked(one) for one in told.witnesses])
        if told.completed:
            output.say(f"\nProofs that have got cosignatures: {told.completed}")
    status = worst(told.witnesses)
    return 0 if status is Status.SKIPPED else status.exit_code


@witness_command.command("list")
@options.archive
@options.as_json
def list_witnesses(archive: str | None, as_json: bool) -> int:
    """Show who witnesses our log, and how much of it they are known to hold.

    \b
    opslib witness list
    """
    from opslib.evidence.witnesses import standing
    from opslib.runner import notary

    folder, found = options.opened_archive(archive), _configured()
    held = standing(folder / notary.LOG, found).held
    rows = [
        {"name": one.name, "kind": one.kind, "at": one.remote or one.url, "holds": held[one.name]}
        for one in found.witnesses
    ]
    if as_json:
        output.emit({"witnesses": rows, "quorum": found.needed})
    else:
        columns = ("WITNESS", "KIND", "WHERE", "HOLDS")
        output.table(columns, [(*list(row.values())[:3], f"{row['holds']} leaves") for row in rows])
    return 0


@witness_command.command("key")
@options.archive
@options.as_json
def show_keys(archive: str | None, as_json: bool) -> int:
    """Print the keys by which others know our log, and us as a witness.

    Hand them over by another way than the evidence: a call, a letter, a meeting.

    \b
    opslib witness key
    """
    from opslib.runner import notary

    folder = options.opened_archive(archive)
    found = _serving()
    keys = {"log": notary.log_of(folder).signer.verifier.text if (folder / notary.LOG).exists() else ""}
    keys["witness"] = found.verifier.text if found else ""
    if as_json:
        output.emit(keys)
        return 0
    output.say(keys["log"] or "There is no log yet: it begins with the first run.")
    output.say("  of our log: whoever witnesses it puts this under `serves: logs:`", style="dim")
    output.say(keys["witness"] or "\nparameters/witnesses.yml has no `serves`: we are nobody's witness yet.")
    if found:
        output.say("  of us as a witness: those whose log we witness put it beside our `url`", style="dim")
    return 0


@witness_command.command("policy")
@options.archive
def policy(archive: str | None) -> int:
    """Print whom to believe about our log, for `opslib verify --policy` (C2SP tlog-policy).

    \b
    opslib witness policy > policy
    """
    from opslib.runner import notary

    output.say(notary.own_policy(options.opened_archive(archive)).rstrip())
    return 0


@witness_command.command("held")
@click.option("--save", metavar="DIR", type=_FILE, help="Write each head into a file of its witness's name.")
@options.archive
@options.as_json
def held(save: Path | None, archive: str | None, as_json: bool) -> int:
    """Read back the heads of our log that witnesses hold, for `opslib verify --checkpoint`.

    The exit code is 3 when one of them could not be asked.

    \b
    opslib witness held --save heads
    """
    from opslib.evidence.witnesses import read_all
    from opslib.runner import notary

    folder = options.opened_archive(archive)
    found = read_all(notary.log_of(folder), _configured())
    if save:
        save.mkdir(parents=True, exist_ok=True)
        for one in found:
            if one.note:
                (save / one.witness).write_bytes(one.note.encode())
    rows = [(one.witness, *_read(one)) for one in found]
    if as_json:
        names = ("witness", "status", "text")
        output.emit({"heads": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        output.table(("WITNESS", "", "WHAT IT HOLDS"), rows)
    return 3 if any(one.fault for one in found) else 0


@witness_command.command("serve")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=f"127.0.0.1:{_PORT}",
    show_default=True,
    help="Where to listen; put a web server with TLS in front before others reach it.",
)
@click.option("--file", metavar="FILE", type=_FILE, help="Instead of parameters/witnesses.yml.")
def serve(listen: str, file: Path | None) -> int:
    """Witness the logs that parameters/witnesses.yml names under `serves` (C2SP tlog-witness).

    What was seen is kept in OPSLIB_HOME/witness. Keep that folder when you move: without it, a witness
    could be made to sign a second history.

    \b
    opslib witness serve --listen 127.0.0.1:8720
    """
    from opslib.evidence.witnesses.serving import server

    service = _serving(file)
    if service is None:
        raise UsageError("nobody's log is to be witnessed", hint="name their keys under `serves: logs:`")
    host, port = _address(listen)
    try:
        ready = server(service, host, port)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"--listen {listen}: {why}", hint="choose another port") from None
    output.note(f"{service.verifier.text}\nlistens on http://{_shown(ready.server_address)}")
    with ready:
        ready.serve_forever(poll_interval=0.2)
    return 0


def asked(one: Asked) -> dict[str, object]:
    """Return what came of asking a witness as plain JSON."""
    names = ("witness", "kind", "status", "text", "size")
    return {name: getattr(one, name) for name in names}


def _asked(one: Asked) -> Sequence[object]:
    return (one.witness, one.kind, one.status, one.text)


def _read(one: Read) -> tuple[Status, str]:
    from opslib.evidence.notes import Checkpoint

    if one.fault:
        return Status.UNKNOWN, one.fault
    if one.note is None:
        return Status.OK, "nothing yet"
    return Status.OK, f"{Checkpoint.parse(one.note.text).size} leaves"


def _configured() -> Witnesses:
    from opslib.runner import notary

    found = notary.witnesses()
    if found is None:
        raise UsageError(
            "nobody witnesses this log: parameters/witnesses.yml names no witness",
            hint="see docs/architecture.md, Witnesses; `opslib witness key` prints what to hand over",
        )
    return found


def _serving(file: Path | None = None) -> Service | None:
    """Return us as a witness; None where nobody's log is named."""
    from opslib.config.witnesses import load_witnesses, read_witnesses
    from opslib.evidence.witnesses import log_keys
    from opslib.evidence.witnesses.service import Service
    from opslib.home import private
    from opslib.keys.machine import machine_key

    found = read_witnesses(file) if file else load_witnesses()
    if found.serves is None:
        return None
    return Service(found.serves.name, machine_key("witness"), log_keys(found), private("witness"))


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {listen} is no HOST:PORT", hint=f"such as 127.0.0.1:{_PORT}")
    return host.strip("[]"), int(port)


def _shown(address: Sequence[object]) -> str:
    host = str(address[0])
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
