"""How far the ledgers have come that this machine has written into, kept where nobody else writes.

Each line of a ledger holds the digest of the one before, so nothing can be taken out of its middle. Its
end could be cut off all the same, and what was done would be done again: the last line that was written
here must still be there. A ledger that another machine has written is believed as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opslib import home
from opslib.archive import shared, store
from opslib.archive.changes import Document, digest_of
from opslib.errors import ArchiveError

HINT = "somebody edited it, or an older copy was put back: nothing more is done with this plan; plan again"


def keep(digest: str, lines: Sequence[Document]) -> None:
    """Remember how far the ledger of a plan has come.

    Raises:
        ArchiveError, DiskFull: it could not be remembered.
    """
    with store.plainly(home.home()):
        shared.replace(_place(digest), f"{len(lines)} {digest_of(lines[-1])}\n".encode())


def check(digest: str, lines: Sequence[Document]) -> None:
    """See that what was written here is still in the ledger of a plan.

    Raises:
        ArchiveError: it is not.
    """
    count, _, last = shared.read(_place(digest)).decode(errors="replace").strip().partition(" ")
    if not count:
        return
    number = int(count) if count.isdecimal() else 0
    if not 0 < number <= len(lines) or digest_of(lines[number - 1]) != last:
        raise ArchiveError("the ledger no longer holds what this machine has written into it", hint=HINT)


def _place(digest: str) -> Path:
    return home.private("ledgers") / digest.removeprefix("sha256:")
