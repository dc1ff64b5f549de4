"""`ops.rehearse`: what a plan of migrations would do, tried on a copy of the tables first."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import pandas as pd

from opslib import frames
from opslib.acts import Statement
from opslib.errors import NotNamed, Refused, SandboxError, SecretError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opslib import config
    from opslib.gate.plan import Draft

_NOTHING = "nothing is about to be applied"


def rehearse(env: config.Environment, draft: Draft | None, say: Callable[[str], None]) -> pd.DataFrame:
    """Try the files of a draft on a copy without rows, on a server that is made for it and removed.

    Args:
        env: whose tables.
        draft: of `opslib.changes.migration`; None, or without targets, where nothing is to be tried.
        say: told how far it is.

    Returns:
        One row a file: file, ms, shut, unwritable, rewritten (tables), error; and lacking, what of the
        tables could not be copied. Unavailable, with the reason, where no copy could be made.
    """
    from opslib.sandbox import trial

    columns = [*(one.name for one in fields(trial.Tried)), "lacking"]
    acts = [target.act for target in draft.targets if isinstance(target.act, Statement)] if draft else []
    if draft is None or not acts:
        return frames.unavailable(columns, _NOTHING, absent=True)
    try:
        if env.backup is None:
            raise NotNamed(f"{env.system.name} names no door to the server itself in {env.name}: `backup:`")
        found = trial.trial(env.backup, acts, draft.targets[0].identity["table"], say)
    except (SourceError, SecretError, Refused, SandboxError) as error:
        return frames.unavailable(columns, error.message)
    rows = [{**asdict(one), "lacking": found.lacking} for one in found.files]
    return pd.DataFrame(rows, columns=columns)
