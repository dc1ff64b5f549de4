"""The words and signs for each status, made once; colour is never the only sign."""

from __future__ import annotations

from opslib.verdict import Status

SIGN = {
    Status.OK: "✔",
    Status.WARNING: "▲",
    Status.CRITICAL: "✖",
    Status.UNKNOWN: "?",
    Status.SKIPPED: "·",
}

HEADLINE = {
    Status.OK: "OK",
    Status.WARNING: "Warning",
    Status.CRITICAL: "Critical",
    Status.UNKNOWN: "Unknown",
    Status.SKIPPED: "Skipped",
}

SENTENCE = {
    Status.OK: "all that could be checked here is well",
    Status.WARNING: "something is not as expected: see below",
    Status.CRITICAL: "something is broken",
    Status.UNKNOWN: "something that matters could not be looked at",
    Status.SKIPPED: "nothing of this applies here",
}


def unread(many: int) -> str:
    """Return that records cannot be read, for wherever runs are counted; empty when all can be."""
    if not many:
        return ""
    one = "1 record of this archive" if many == 1 else f"{many} records of this archive"
    return f"{one} cannot be read and {'is' if many == 1 else 'are'} not counted"


def counts(statuses: list[Status]) -> str:
    """Return e.g. `7 checks: 5 ok, 1 warning, 1 skipped`, the worst first."""
    order = sorted(Status, key=lambda status: status.severity, reverse=True)
    parts = [f"{statuses.count(status)} {status}" for status in order if status in statuses]
    total = f"{len(statuses)} check{'' if len(statuses) == 1 else 's'}"
    return f"{total}: {', '.join(parts)}" if parts else "no check yet"
