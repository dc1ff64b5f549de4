"""`opslib annotate`: what is known of a run only afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opslib.cli import options, output, verdicts, wording

if TYPE_CHECKING:
    from opslib.keys import Signer


@click.command("annotate")
@click.argument("run")
@click.argument("text")
@options.archive
@options.as_json
def annotate_command(run: str, text: str, archive: str | None, as_json: bool) -> int:
    """Add a note to a run; the record itself stays as it is.

    Notes are shown by show, report and history --json, with who wrote them and when. They are signed with
    your key (`opslib keys init`), told to the log, and never edited; what secrets are known here is masked.

    \b
    opslib annotate latest "false alarm: the load test of team shop"
    opslib annotate 019aa3c1 "ticket OPS-512: pool raised to 30"
    """
    from opslib.archive.index import Index
    from opslib.archive.notes import Notes
    from opslib.runner import deeds

    index = Index(options.opened_archive(archive))
    document = index.get(run)
    signer = _signer()
    words = wording.masked(text, document["system"], document["environment"])
    note = Notes(index.archive).add(document["run_id"], _author(signer), words, signer)
    deeds.noted(index.archive, note)
    if as_json:
        output.emit(note.to_dict())
        return 0
    output.say(f"Noted for {document['procedure']} on {document['system']} ({document['environment']}):")
    for line in verdicts.notes([note.to_dict()]):
        output.say(line)
    return 0


def _signer() -> Signer | None:
    """Return the key that signs; one that cannot sign now keeps nobody from noting something."""
    from opslib import keys
    from opslib.archive.notes import NAMESPACE
    from opslib.errors import OpsError

    try:
        signer = keys.own()
        if signer:
            signer.sign(b"", NAMESPACE)
        return signer
    except OpsError as error:
        output.note(f"opslib: the note is not signed: {error.message}")
        return None


def _author(signer: Signer | None) -> str:
    """Return who somebody is by their key, or else by their login."""
    from opslib import config
    from opslib.errors import OpsError
    from opslib.runner import origin

    try:
        known = config.load_people().owner(signer.public) if signer else None
    except OpsError:
        known = None
    return known[0].id if known else origin.user()
