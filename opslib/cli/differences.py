"""`opslib diff`: what differs between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output
from opslib.errors import UnknownName

if TYPE_CHECKING:
    from opslib.archive.diff import Change, Difference
    from opslib.archive.index import Index

SAME, DIFFERENT = 0, 1


@click.command("diff")
@click.argument("before")
@click.argument("after", required=False)
@click.option("--ignore-values", is_flag=True, help="Values that moved within their limits do not count.")
@options.archive
@options.as_json
def diff_command(
    before: str, after: str | None, ignore_values: bool, archive: str | None, as_json: bool
) -> int:
    """Say what differs between two runs: parameters, code, verdict, causes, findings.

    Runs are named by their ids (which may be cut short), by latest, or by words in quotes: latest, then
    a verdict, a procedure, a system, an environment. One run alone is held against the last ok run before
    it. Times and ids do not count. Exit code: 0 when they say the same, 1 when not, 64 when there is no
    such run.

    \b
    opslib diff latest                                   # since the last ok
    opslib diff 019aa3c1 019aa4c1
    opslib diff "latest ok database-connections kulti" "latest database-connections kulti"
    """
    from opslib.archive import diff, disposed
    from opslib.archive.index import Index

    index = Index(options.opened_archive(archive))
    first, second = _pair(index, before, after)
    disposed.must_be_there(first, second)
    found = diff.compare(first, second)
    if as_json:
        output.emit(found.to_dict())
    else:
        _show(found)
    return DIFFERENT if found.told or (found.moved and not ignore_values) else SAME


def _pair(index: Index, before: str, after: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    from opslib.archive import since

    first = index.get(before)
    if after is not None:
        return first, index.get(after)
    well = since.last_ok(index, first)
    if well is None:
        target = f"{first['procedure']} on {first['system']} ({first['environment']})"
        raise UnknownName(
            f"{target} was never ok before run {first['run_id'][:13]}",
            hint="name two runs: opslib diff BEFORE AFTER",
        )
    return well, first


def _show(found: Difference) -> None:
    from opslib.show import differences

    for word, side in (("Before:", found.before), ("After: ", found.after)):
        when = str(side["started_at"])[:19].replace("T", " ")
        what = f"{side['procedure']} on {side['system']} ({side['environment']})"
        output.say(f"{word} {what}, {when} UTC, {side['verdict']}, {side['run_id']}")
    output.say(f"\n{differences.summary(found)}", style="bold")
    _table(found.told, "")
    _table(found.moved, "Values that moved")


def _table(changes: Sequence[Change], title: str) -> None:
    from opslib.show import differences

    rows = [
        (
            differences.SIGNS[change.kind],
            differences.name(change),
            differences.value(change.before),
            differences.value(change.after),
            differences.by(change),
        )
        for change in changes
    ]
    if rows:
        output.say("")
        output.table(("", "WHAT", "BEFORE", "AFTER", "BY"), rows, title=title)
