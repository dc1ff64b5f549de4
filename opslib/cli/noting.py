"""`opslib annotate`: what is known of a run only afterwards."""

from __future__ import annotations

from typing import Any

import click

from opslib.cli import options, output, verdicts


@click.command("annotate")
@click.argument("run")
@click.argument("text")
@options.archive
@options.as_json
def annotate_command(run: str, text: str, archive: str | None, as_json: bool) -> int:
    """Add a note to a run; the record itself stays as it is.

    Notes are shown by show, report and history --json, with who wrote them and when. They are added,
    never edited; what secrets are known here is masked.

    \b
    opslib annotate latest "false alarm: the load test of team shop"
    opslib annotate 019aa3c1 "ticket OPS-512: pool raised to 30"
    """
    from opslib.archive.index import Index
    from opslib.archive.notes import Notes
    from opslib.runner import origin

    index = Index(options.opened_archive(archive))
    document = index.get(run)
    note = Notes(index.archive).add(document["run_id"], origin.user(), _masked(text, document))
    if as_json:
        output.emit(note.to_dict())
        return 0
    output.say(f"Noted for {document['procedure']} on {document['system']} ({document['environment']}):")
    for line in verdicts.notes([note.to_dict()]):
        output.say(line)
    return 0


def _masked(text: str, document: dict[str, Any]) -> str:
    """Mask the secrets of the environment that was looked at, as in its record."""
    from opslib import config, masking
    from opslib.errors import OpsError
    from opslib.runner.execute import secret_values

    try:
        environment = config.load_system(document["system"]).environment(document["environment"])
        known = secret_values(environment)
    except OpsError as error:
        output.note(f"opslib: secrets of {document['system']} could not be masked: {error.message}")
        known = masking.registered()
    return masking.Masker(known).mask(text)
