"""`ops.rehearse`: what a plan of migrations would do, tried on a copy of the tables first."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.errors import NotNamed, Refused, SandboxError, SecretError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opslib import config
    from opslib.acts import Statement

TRIED = ("file", "ms", "shut", "unwritable", "scanned", "swept", "rewritten", "error", "doubt", "lacking")
_NOTHING = "nothing was asked to be applied: with apply=true, files that are pending are tried first"


def rehearse(
    env: config.Environment, acts: Sequence[Statement], ledger: Sequence[str], say: Callable[[str], None]
) -> pd.DataFrame:
    """Try files on a copy without rows, on a server that is made for it and removed.

    Args:
        env: whose tables.
        acts: the files with their notes, from `opslib.changes.migration`; none where nothing is to be tried.
        ledger: schema and name of the table with the notes.
        say: told how far it is.

    Returns:
        One row a file that was tried: file, ms, shut, unwritable, scanned, swept, rewritten (tables), error,
        doubt (why the copy may be at fault), lacking (what could not be copied). Unavailable, with the
        reason, where no copy could be made.
    """
    if not acts:
        return frames.unavailable(TRIED, _NOTHING, absent=True)
    from opslib.sandbox import trial

    try:
        if env.backup is None:
            raise NotNamed(f"{env.system.name} names no door to the server itself in {env.name}: `backup:`")
        found = trial.trial(env.backup, acts, ledger, say)
    except (SourceError, SecretError, Refused, SandboxError) as error:
        return frames.unavailable(TRIED, error.message)
    rows = [{**asdict(one), "lacking": found.lacking} for one in found.files]
    return pd.DataFrame(rows, columns=list(TRIED))
