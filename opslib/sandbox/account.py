"""The operating-system account that PostgreSQL's servers run as."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOBODY = 65534


@dataclass(frozen=True)
class Account:
    """The operating-system account that runs the servers; `uid` is None for the one we are."""

    uid: int | None = None

    @classmethod
    def for_servers(cls) -> Account:
        """Return our own account, or nobody's when we are root."""
        return cls(NOBODY if os.geteuid() == 0 else None)

    @property
    def switch(self) -> dict[str, Any]:
        """Arguments of `subprocess` that make a child run as this account."""
        return {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give one file or folder to this account."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)
