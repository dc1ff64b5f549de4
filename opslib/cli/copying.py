"""`opslib archive push` and `pull`: a copy of the archive in an S3 bucket, and the archive from its copy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opslib.cli import options, output, verdicts
from opslib.errors import SourceError, UsageError

if TYPE_CHECKING:
    from opslib.archive.bucket import Bucket
    from opslib.evidence import Trust
    from opslib.evidence.pushing import Pushed

_SCHEME = "s3://"
_MOST_SHOWN = 20
_CUT_OFF = "{} files that a push was about to cover with the next head were left out: it has not ended"
_SAID = {
    "differing": "over there is something else of that name; it was left as it is",
    "missing": "is in the copy, and not here any more: `opslib verify` says whether it had to go",
    "locked": "was destroyed here; over there it is hidden, and its lock, or a missing right, keeps it yet",
}


@dataclass(frozen=True)
class Opened:
    """An archive that can be looked at.

    Args:
        folder: where it is, for as long as the command runs.
        name: what it is called.
        heads: earlier heads of its log that the store was told to keep.
        unproven: what is to be said of it.
        is_copy: whether it was fetched from a store.
    """

    folder: Path
    name: str
    heads: tuple[bytes, ...] = ()
    unproven: tuple[str, ...] = ()
    is_copy: bool = False


@click.command("push")
@click.argument("place", required=False, metavar="[s3://BUCKET/PREFIX]")
@options.archive
@options.as_json
@options.quiet
def push_command(place: str | None, archive: str | None, as_json: bool, quiet: bool) -> int:
    """Bring the copy of the archive in an S3 bucket up to its present head.

    The copy is a sound archive at any moment: the head comes after all that it covers, and a push that was
    cut off goes on the next time. Nothing over there is overwritten but the head, and what only grows. Where
    the copy goes without a place, how the store is reached and locked, parameters/store.yml says.

    The exit code is 2 when the copy has a head that this log does not continue (then nothing is sent), or
    something else under a name of ours; 1 when it has files that are not here any more; 3 when the store
    cannot be asked.

    \b
    opslib archive push
    opslib archive push s3://acme-records/runbooks
    """
    from opslib import ids
    from opslib.evidence.places import bucket_of
    from opslib.evidence.pushing import push
    from opslib.runner import notary

    bucket, lock = bucket_of(place)
    folder = options.opened_archive(archive)
    if not (folder / notary.LOG).exists():
        raise UsageError(f"{folder}: nothing was ever logged, so there is nothing to copy")
    line = output.progress(not (as_json or quiet))
    done = push(
        folder, notary.log_of(folder), notary.own_trust(folder), bucket,
        hold=lock, now=ids.now(), progress=line,
    )  # fmt: skip
    line("")
    if as_json:
        output.emit({"to": str(bucket), "status": done.status, **asdict(done)})
    else:
        _show(str(bucket), done)
    return done.status.exit_code


@click.command("pull")
@click.argument("place", metavar="s3://BUCKET/PREFIX")
@click.argument("folder", type=click.Path(path_type=Path))
@options.as_json
@options.quiet
def pull_command(place: str, folder: Path, as_json: bool, quiet: bool) -> int:
    """Fetch an archive from its copy in an S3 bucket into a new folder; it appears there whole or not at all.

    \b
    opslib archive pull s3://acme-records/runbooks restored
    opslib verify --archive restored
    """
    from opslib.archive import store
    from opslib.evidence.places import bucket_of
    from opslib.evidence.pulling import pull

    bucket, _ = bucket_of(place)
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is there already", hint="name a folder that is not there, or is empty")
    line = output.progress(not (as_json or quiet))
    with store.plainly(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pulling-", dir=folder.parent) as beside:
            done = pull(bucket, Path(beside) / "archive", progress=line)
            (Path(beside) / "archive").rename(folder)
    line("")
    if as_json:
        output.emit({"from": str(bucket), "folder": str(folder), **asdict(done)})
    else:
        output.say(f"{folder}: {done.files} files, {done.size} leaves of the log.")
        if done.waiting:
            output.say(_CUT_OFF.format(len(done.waiting)))
        output.say(f"Is it what was sealed? opslib verify --archive {folder}", style="dim")
    return 0


def opened(archive: str | None, trust_of: Callable[[Path], Trust], ask: bool) -> Opened:
    """Return the archive, or a copy of it, fetched into a private folder that goes when the command ends.

    Args:
        archive: as it was named.
        trust_of: whom to believe about a folder.
        ask: whether witnesses are to be asked.

    Raises:
        UsageError: witnesses cannot be asked about a copy, or there is none.
        SourceError: the store cannot be asked, or refuses.
    """
    if not archive or not archive.startswith(_SCHEME):
        folder = options.opened_archive(archive)
        return Opened(folder, str(folder))
    if ask:
        raise UsageError("--witnesses is about the archive itself, not a copy", hint="leave out --archive")
    from opslib.evidence.places import bucket_of
    from opslib.evidence.pulling import pull

    bucket, hold = bucket_of(archive)
    beside = tempfile.TemporaryDirectory(prefix="opslib-copy-")
    folder = Path(click.get_current_context().with_resource(beside)) / "archive"
    # Before the copy's own head, which is then as large as any of them.
    heads, unproven = _held(bucket, must=hold is not None)
    line = output.progress()
    done = pull(bucket, folder, trust_of, line)
    line("")
    unproven += (_CUT_OFF.format(len(done.waiting)),) if done.waiting else ()
    return Opened(folder, str(bucket), heads, unproven, True)


def _held(bucket: Bucket, *, must: bool) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Return the heads that a store keeps under a lock, and why they were not looked at, where that is so."""
    from opslib.evidence.copies import held_heads

    try:
        return held_heads(bucket), ()
    except SourceError as error:  # not every store has versions, and not everybody may list them
        if must:
            raise
        return (), (f"heads that the store may keep under a lock were not looked at: {error.message}",)


def _show(place: str, done: Pushed) -> None:
    if done.refused:
        verdicts.headline(done.status, f"{place}: nothing was sent")
        output.say(f"  {done.refused}")
        return
    verdicts.headline(done.status, f"{place}: {done.size} leaves of the log")
    size = f"{done.bytes / 1e6:.1f} MB"
    output.say(f"  {done.sent} objects sent ({size}), {done.same} were there already")
    if done.removed:
        output.say(f"  {len(done.removed)} removed, as their records were destroyed by a rule")
    rows = [(name, text) for part, text in _SAID.items() for name in _few(getattr(done, part))]
    if rows:
        output.say("")
        output.table(("WHAT", "WHY"), rows)


def _few(names: Sequence[str]) -> Sequence[str]:
    more = len(names) - _MOST_SHOWN
    return names if more <= 0 else (*names[:_MOST_SHOWN], f"and {more} more; all with --json")
