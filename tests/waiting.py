"""Wait for what other processes do, and see whether they still run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def wait(true: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def alive(mark: Path) -> bool:
    """Say whether the kernel that left its process id in a file still runs."""
    try:
        os.kill(int(mark.read_text()), 0)
    except ProcessLookupError:
        return False
    return True
