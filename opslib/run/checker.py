"""`ops.check`: the pure comparisons, with each finding kept and shown at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec

from opslib.checks import compare
from opslib.verdict import Finding

P = ParamSpec("P")


class Checker:
    """Makes findings and hands each to the run.

    `below`, `above`, `none`, `some`, `unknown` and `skipped` take the arguments of the functions
    of the same name in `opslib.checks.compare` and return the finding that they made.
    """

    def __init__(self, keep: Callable[[Sequence[Finding]], None]) -> None:
        self._keep = keep
        self.below = _kept(compare.below, keep)
        self.above = _kept(compare.above, keep)
        self.none = _kept(compare.none, keep)
        self.some = _kept(compare.some, keep)
        self.unknown = _kept(compare.unknown, keep)
        self.skipped = _kept(compare.skipped, keep)

    def add(self, found: Finding | Iterable[Finding]) -> None:
        """Keep one finding, or all findings of a domain analysis."""
        self._keep([found] if isinstance(found, Finding) else list(found))


def _kept(make: Callable[P, Finding], keep: Callable[[Sequence[Finding]], None]) -> Callable[P, Finding]:
    def made(*args: P.args, **kwargs: P.kwargs) -> Finding:
        finding = make(*args, **kwargs)
        keep([finding])
        return finding

    made.__doc__ = make.__doc__
    return made
