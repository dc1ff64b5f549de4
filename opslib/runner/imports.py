"""Import the notebook stack without the part that costs most and is never used.

With JupyterLab in the same environment, `jsonschema` finds `rfc3987_syntax` and compiles grammars for
every form of URI while it is imported: 0.9 s for a check of a string format that no notebook has.
`jsonschema` does without it when it cannot be imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_GRAMMAR = "rfc3987_syntax"


@contextmanager
def quick() -> Iterator[None]:
    """Within this block, imports of the notebook stack leave the URI grammars out."""
    if _GRAMMAR in sys.modules:
        yield
        return
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_GRAMMAR]
