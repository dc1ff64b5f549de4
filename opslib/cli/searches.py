"""`opslib search`: where words stood in what was found before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import asked, options, output
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.archive.searching import Hit


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--procedure", metavar="NAME", help="Only runs of this procedure.")
@asked.filters
@click.option(
    "--limit", "-n", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many at most."
)
@options.archive
@options.as_json
def search_command(
    words: Sequence[str], limit: int, archive: str | None, as_json: bool, **given: str | None
) -> int:
    """Find runs by words in their findings, causes and outputs, the newest first.

    All words must be there, in any order and form (lock finds locks); words in quotes must follow one
    another. No character has a special meaning.

    \b
    opslib search too many clients
    opslib search "FATAL: sorry, too many clients already" --since 30d
    opslib search stripe timeout --system kulti --verdict critical
    """
    from opslib import ids
    from opslib.archive import choosing
    from opslib.archive.index import Index

    index = Index(options.opened_archive(archive))
    wanted = choosing.chosen(ids.now(), **given)
    hits = index.search(words, limit=limit, **wanted)
    unread = asked.unreadable(index)
    if as_json:
        output.emit({"hits": [hit.to_dict() for hit in hits], "unreadable": unread})
    elif not hits:
        output.say("No run that is kept says that.")
    for hit in [] if as_json else hits:
        _show(hit)
    return 0


def _show(hit: Hit) -> None:
    from rich.text import Text

    run = hit.document
    when = str(run["started_at"])[:19].replace("T", " ")
    what = f"{run['procedure']} on {run['system']} ({run['environment']})"
    screen = output.console()
    head = Text.assemble(f"{when}  ", output.status(Status(run["verdict"])), f"  {what}  {run['run_id']}")
    screen.print(head, soft_wrap=True)
    screen.print(Text.assemble(f"    {hit.where}: ", _marked(hit, bool(screen.color_system))), soft_wrap=True)


def _marked(hit: Hit, coloured: bool) -> Any:
    """Return the snippet with its hits in bold; where there are no colours, between » and «."""
    from rich.text import Text

    told, position = Text(), 0
    for begin, end in hit.marked:
        told.append_text(output.plain(hit.snippet[position:begin]))
        word = output.plain(hit.snippet[begin:end])
        told.append_text(Text.assemble((word.plain, "bold reverse")) if coloured else Text(f"»{word.plain}«"))
        position = end
    return told.append_text(output.plain(hit.snippet[position:]))
