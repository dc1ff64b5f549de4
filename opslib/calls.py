"""A record of one question put to a source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One question to one source, as evidence keeps it.

    Args:
        source: who was asked, e.g. `pg:direct`, `http:vercel`.
        what: what was asked: name of a packaged statement, or method and path.
        rows: rows (or items) in the answer; None when that has no meaning.
        ms: how long it took, in milliseconds.
        ok: whether an answer came.
        error: why not, or "".
        digest: SHA-256 of the question (query text, URL without secrets).
    """

    source: str
    what: str
    rows: int | None
    ms: float
    ok: bool
    error: str
    digest: str
