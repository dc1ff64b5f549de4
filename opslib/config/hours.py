"""Times of the week at which something is allowed: `Mon-Fri 08:00-18:00 Europe/Berlin`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator

from opslib.config.fields import Text, wrong
from opslib.config.validate import close

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = "Mon-Fri 08:00-18:00 Europe/Berlin"
_WINDOW = re.compile(
    r"(?:(?P<first>[A-Za-z]{3})(?:-(?P<last>[A-Za-z]{3}))? +)?"
    r"(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d) +(?P<zone>\S+)"
)
_MIDNIGHT = 24 * 60


@lru_cache(maxsize=64)
def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        guess = close(name, available_timezones())
        raise wrong(f"there is no such time zone{f': did you mean {guess}?' if guess else ''}") from None
    return name


Zone = Annotated[Text, AfterValidator(_zone)]


@dataclass(frozen=True)
class Window:
    """A time of the day, on some days of the week; one that ends before it begins goes on past midnight.

    Args:
        days: 0 is Monday; the days on which it begins.
        begin, end: minutes after midnight; the end is no longer in it.
        zone: IANA name of the time zone in which they are meant.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> Window:
        """Return the window that a text such as `Mon-Fri 08:00-18:00 Europe/Berlin` means."""
        found = _WINDOW.fullmatch(text.strip())
        if not found:
            raise wrong(f"must be hours such as {EXAMPLE}")
        begin, end = _minute(found["begin"]), _minute(found["end"])
        if begin in (end, _MIDNIGHT):
            raise wrong("these hours never begin, or never end: all day is 00:00-24:00")
        return cls(_days(found["first"], found["last"]), begin, end, _zone(found["zone"]))

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it, by the clock on the wall of its time zone."""
        local = moment.astimezone(ZoneInfo(self.zone))
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        late = today in self.days and minute >= self.begin
        return late or ((today - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True)
class Hours:
    """Some windows; none at all means any time.

    Args:
        text: as a person wrote them.
        windows: it is open in each of them.
    """

    text: str = ""
    windows: tuple[Window, ...] = ()

    @classmethod
    def parse(cls, given: Any) -> Hours:
        """Return the hours of one text, or of a list of texts."""
        if isinstance(given, cls):
            return given
        texts: Iterable[Any] = given if isinstance(given, list) else [given]
        if not given or not all(isinstance(text, str) for text in texts):
            raise wrong(f"must be hours such as {EXAMPLE}, or a list of them")
        return cls(", ".join(texts), tuple(Window.parse(text) for text in texts))

    def open_at(self, moment: datetime) -> bool:
        """Tell whether a moment lies in one of the windows."""
        return not self.windows or any(window.holds(moment) for window in self.windows)


HoursText = Annotated[Hours, BeforeValidator(Hours.parse)]


def _minute(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if minute > 59 or hour * 60 + minute > _MIDNIGHT:
        raise wrong(f"{text} is no time of the day")
    return hour * 60 + minute


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    begin = _day(first)
    count = (_day(last) - begin) % 7 if last else 0
    return frozenset((begin + number) % 7 for number in range(count + 1))


def _day(name: str) -> int:
    if name.title() not in DAYS:
        raise wrong(f"{name} is no day of the week: write {', '.join(DAYS)}")
    return DAYS.index(name.title())
