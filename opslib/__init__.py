"""opslib: executable runbooks. A notebook needs one name from here: `start`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opslib.run import start as start

__all__ = ["__version__", "start"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazy, so that `import opslib` (which every command does) does not pay for pandas.
    if name == "start":
        from opslib.run import start

        return start
    raise AttributeError(f"module 'opslib' has no attribute {name!r}")
