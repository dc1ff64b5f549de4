"""When to ask again, and how long to wait: the one retry policy.

A server that says when to come back is believed, by `Retry-After` (seconds or a date) or by a
vendor's reset header; otherwise waits grow exponentially with jitter. Attempts and total time are
bounded. What changes something is repeated only where the server cannot have begun it, or knows it
again by its idempotency key.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

ASK_AGAIN = frozenset({420, 429, 502, 503, 504})

# Sentry, GitHub and PagerDuty; Rollbar counts the seconds that remain.
RESET_HEADERS = (
    "x-sentry-rate-limit-reset",
    "x-ratelimit-reset",
    "ratelimit-reset",
    "x-rate-limit-remaining-seconds",
)
_EPOCH = 1_000_000_000


@dataclass(frozen=True)
class Policy:
    """Bounds of asking again.

    Args:
        attempts: how often to ask at most; 1 never repeats.
        total_s: seconds after which no further attempt begins.
        first_wait_s: the first wait when the server names none; it doubles each time.
        longest_wait_s: no wait of our own choosing is longer.
    """

    attempts: int = 3
    total_s: float = 20.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0

    def wait(self, attempt: int, headers: Mapping[str, str]) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 1)."""
        told = asked_to_wait(headers)
        if told is not None:
            return told
        grown = self.first_wait_s * 2.0 ** (attempt - 1)
        return min(self.longest_wait_s, grown) * random.uniform(0.5, 1.0)


ONCE = Policy(attempts=1)


def limited(status_code: int, headers: Mapping[str, str]) -> bool:
    """Tell whether the answer means "too many requests".

    GitHub says so with a 403 and a spent counter or `Retry-After`; Statuspage with 420.
    """
    if status_code in (420, 429):
        return True
    return status_code == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")


def reading(status_code: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a question may be put again after this answer."""
    return status_code in ASK_AGAIN or limited(status_code, headers)


def turned_away(status_code: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a change was not begun and may be asked for again at a time that the server names."""
    return status_code == 429 and asked_to_wait(headers) is not None


def recognised(status_code: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a change that carries an idempotency key may be asked for again."""
    return status_code >= 500 or limited(status_code, headers)


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait, or None when it does not say."""
    given = headers.get("retry-after", "").strip()
    if given:
        return _seconds(given)
    for name in RESET_HEADERS:
        value = headers.get(name, "").strip()
        if value and _number(value) is not None:
            return _from_reset(float(value))
    return None


def _seconds(given: str) -> float | None:
    number = _number(given)
    if number is not None:
        return max(0.0, number)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return None


def _from_reset(value: float) -> float:
    """Read a reset header, which counts seconds from now, or since 1970, by vendor."""
    return max(0.0, value - time.time()) if value > _EPOCH else max(0.0, value)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
