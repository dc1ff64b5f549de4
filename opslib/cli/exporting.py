"""`opslib export`: what an auditor gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.archive import choosing
from opslib.cli import options, output, trusting, verdicts, verifying
from opslib.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from opslib.evidence.exporting import Export, Keys
    from opslib.evidence.population import Extent

_FILE = click.Path(path_type=Path)
_LONGEST_WORD = 200


@click.command("export")
@click.argument("target", metavar="OUT.zip", type=_FILE)
@click.option("--control", required=True, metavar="ID", help="What the auditor asks about, e.g. CC7.2.")
@click.option("--from", "since", required=True, metavar="WHEN", help="Runs asked for then or later (UTC).")
@click.option("--to", "until", required=True, metavar="WHEN", help="And before; of a day, before its end.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Whole records of N runs only, drawn by lot; of the others what was signed (default: all whole).",
)
@click.option("--word", default="", metavar="TEXT", help="A word of the auditor, which goes into the draw.")
@click.option(
    "--since-checkpoint",
    "earlier",
    metavar="FILE",
    type=_FILE,
    help="log/checkpoint of the last export: prove that the log continues it.",
)
@trusting.keys
@trusting.people
@options.archive
@options.as_json
def export_command(
    target: Path,
    control: str,
    since: str,
    until: str,
    sample: int | None,
    word: str,
    earlier: Path | None,
    policy: Path | None,
    runner_keys: Path | None,
    people_keys: Path | None,
    archive: str | None,
    as_json: bool,
) -> int:
    """Hand evidence for a control over: one zip that an auditor checks offline, believing nobody.

    In it: all runs of the period that fit, each leaf of the log explained, a sample that nobody chose, signed
    records with proofs, keys, and two verifiers: a page for the browser and a script for Python. It is
    verified before it is handed over: the exit code is 0 when it is sound and 2 when it is not.

    \b
    opslib export --control CC7.2 --from 2026-01-01 --to 2026-12-31 cc7.2.zip
    opslib export --control A.8.32 --from 90d --to 0m --sample 25 --word "blue heron" changes.zip
    """
    from opslib import ids
    from opslib.evidence import exporting
    from opslib.runner import planning

    folder = options.opened_archive(archive)
    head = _content(earlier) if earlier else b""
    extent, word = _extent(control, since, until), _plain(word)
    wanted = exporting.Asked(extent, sample, word, head, planning.between, ids.now())
    made = exporting.export(folder, target, wanted, _keys(folder, policy, runner_keys, people_keys))
    if as_json:
        output.emit(_document(made))
    else:
        _show(made)
    return verifying.status_of(made.report).exit_code


def _extent(control: str, since: str, until: str) -> Extent:
    from opslib import catalog, ids
    from opslib.controls import canonical, themes_of
    from opslib.evidence.population import Extent

    name = canonical(control)
    if not (themes := themes_of(name)):
        raise UnknownName(
            f"there is no control {name}", hint="`opslib list --json` names those of each procedure"
        )
    procedures = tuple(one.id for one in catalog.load().procedures if name in one.controls)
    if not procedures:
        hint = f"name the theme {themes[0]} in `controls` of a notebook's metadata, if that is what it shows"
        raise UsageError(f"no procedure is evidence for {name}", hint=hint)
    now = ids.now()
    begin, end = choosing.moment(since, now), choosing.moment(until, now, end=True)
    if begin >= end:
        raise UsageError("--from is not before --to: no run can lie between")
    return Extent(name, procedures, *(moment.replace(microsecond=0) for moment in (begin, end)))


def _plain(word: str) -> str:
    if len(word) > _LONGEST_WORD or not word.isprintable():
        raise UsageError(f"--word is one line of at most {_LONGEST_WORD} characters")
    return word


def _keys(
    archive: Path, policy: Path | None, runner_keys: Path | None, people_keys: Path | None
) -> Keys:  # fmt: skip
    from opslib.evidence.exporting import Keys
    from opslib.keys.machine import machine_key
    from opslib.runner import notary
    from opslib.runner.people import people_text

    trust = trusting.trusted(archive, policy, runner_keys, people_keys)
    signer = machine_key("runner")
    if policy and runner_keys:
        told, runner = (_content(path).decode(errors="replace") for path in (policy, runner_keys))
        people = _content(people_keys).decode(errors="replace") if people_keys else None
        return Keys(told, runner, trust, signer, people)
    own, runner = notary.own_keys(archive)
    return Keys(own, f"{runner}\n", trust, signer, people_text())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {(error.strerror or 'unknown reason').lower()}") from None


def _document(made: Export) -> Mapping[str, Any]:
    manifest = made.manifest
    return {
        "path": str(made.path),
        "sha256": made.sha256,
        "control": manifest.extent.control,
        "procedures": list(manifest.extent.procedures),
        "since": manifest.extent.since.isoformat(),
        "until": manifest.extent.until.isoformat(),
        "counts": dict(manifest.counts),
        "sample": list(manifest.drawn),
        "checkpoint": made.head.text,
        "keys": list(made.keys),
        **made.report.to_dict(),
    }


def _show(made: Export) -> None:
    verdicts.headline(verifying.status_of(made.report), f"{made.path}: {made.manifest.extent.control}")
    rows = [(str(one.kind), one.subject, one.text) for one in made.report.findings]
    if rows:
        output.say("")
        output.table(("WHAT", "WHERE", "WHY"), rows)
    output.table(("FIGURE", "COUNT"), [(name, str(count)) for name, count in made.manifest.counts.items()])
    output.say("\nTell the auditor by another way (phone, paper):", style="bold")
    for line in (f"sha256 of the zip: {made.sha256}", *made.keys):
        output.say(f"  {line}")
    output.say("\nnot proven:", style="dim")
    for text in made.report.unproven:
        output.say(f"  {text}", style="dim")
