"""Limits: what is too much, for how long, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import model_validator

from opslib.config.fields import Number, Part, StatusFormat, Text, Url, wrong
from opslib.config.source import Document, read
from opslib.config.validate import close, validated

DEFAULTS_FILE = Path(__file__).with_name("defaults.yml")
OWN_SOURCE = "the system's own file"


class Limit(Part):
    """One limit.

    Args:
        warning: value at which it is a warning; None where there is no such step.
        critical: value at which it is critical.
        unit: unit of both, e.g. `ms` or `%`.
        for_minutes: how long it must last before an alert goes out.
        source: the runbook's heading that states it, or `opslib default`.
        what: what is measured, in words.
    """

    warning: Number | None = None
    critical: Number | None = None
    unit: str = ""
    for_minutes: Number | None = None
    source: Text = OWN_SOURCE
    what: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Limit:
        if self.warning is None and self.critical is None and not self.what:
            raise wrong("a limit needs `warning`, `critical`, or both")
        return self


class KnownVendor(Part):
    """What is public about a vendor.

    Args:
        title: its name as people write it.
        api_url: where its API begins.
        status_url: its public status page; empty where none is known.
        status_format: what that page speaks.
    """

    title: Text
    api_url: Url | None = None
    status_url: Url | None = None
    status_format: StatusFormat = "none"


class Defaults(Part):
    """The file that comes with opslib: its own limits, and the vendors' public addresses."""

    limits: dict[str, Limit]
    vendors: dict[str, KnownVendor]


@lru_cache(maxsize=1)
def defaults() -> Defaults:
    """Return opslib's own limits and vendor addresses."""
    return validated(Defaults, read(DEFAULTS_FILE))


def merged(own: Mapping[str, Limit], document: Document, at: tuple[str, ...] = ()) -> dict[str, Limit]:
    """Return all limits of a system: its own in place of opslib's.

    A limit is taken over whole: a warning from a runbook beside a critical of ours would hide who
    said what. Only the unit and the words are filled in.

    Raises:
        ConfigError: a name is nearly, but not quite, a known one; or warning and critical are swapped.
    """
    known = defaults().limits
    result = dict(known)
    for name, limit in own.items():
        where = (*at, "limits", name)
        base = known.get(name)
        if base is None and (guess := close(name, known, 0.8)):
            raise document.error(where, "there is no such limit", f"did you mean {guess}?")
        if base is None:
            result[name] = limit
            continue
        if _direction(limit) * _direction(base) < 0:
            better = "lower" if _direction(base) > 0 else "higher"
            raise document.error(where, f"warning and critical are swapped: {better} is better here")
        result[name] = limit.model_copy(
            update={"unit": limit.unit or base.unit, "what": limit.what or base.what}
        )
    return result


def _direction(limit: Limit) -> int:
    if limit.warning is None or limit.critical is None:
        return 0
    return (limit.critical > limit.warning) - (limit.critical < limit.warning)
