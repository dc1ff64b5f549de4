"""How amounts of the type money are written: a dump has them as text, which another locale cannot read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opslib.backup.manifest import Holds
    from opslib.pg.whole import Frozen

MONETARY = "monetary"  # among what a manifest says of the locale


def noted(view: Frozen, holds: Holds) -> Holds:
    """Return what a database holds with the locale of its amounts, where it has any."""
    found = view.table("money_locale").iloc[0]
    return replace(holds, locale={**holds.locale, **locale(view)}) if found["used"] else holds


def locale(view: Frozen) -> dict[str, str]:
    """Return how a database writes amounts, as a manifest has it."""
    return {MONETARY: str(view.table("money_locale").iloc[0][MONETARY])}
