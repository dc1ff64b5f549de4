"""Where the traceback of a fault of our own is kept."""

from __future__ import annotations

import os
import traceback
from pathlib import Path


def keep(error: BaseException) -> Path:
    """Write a traceback, masked, where only its owner can read it, and return the file.

    Raises:
        OSError: it could not be written.
    """
    from opslib import home, ids, masking

    text = masking.Masker(masking.registered(), net=True).mask("".join(traceback.format_exception(error)))
    path = home.private("log") / f"crash-{ids.now():%Y%m%dT%H%M%S}-{os.getpid()}.log"
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as log:
        log.write(text)
    return path


def told(error: BaseException) -> tuple[str, str]:
    """Keep a traceback; return what happened in a line, and where to read on."""
    what = f"opslib itself broke: {type(error).__name__}"
    try:
        return what, f"what happened is in {keep(error)}"
    except OSError:
        return what, "its log could not be written"
