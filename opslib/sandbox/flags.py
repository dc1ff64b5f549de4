"""What an app does with its feature flags: read from their real store at each request.

A feature whose code is broken fails for exactly that share of the requests that its flag lets
through, evenly spread. A flag that cannot be read counts as off, as it does in the vendors' own
libraries.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opslib.errors import SourceError
from opslib.http import ONCE, Client

if TYPE_CHECKING:
    from opslib.config import Secret, System

_PATIENCE_S = 2
_SELECT = "select name, enabled, kill_switch, rollout_percentage from public.feature_flags"


@dataclass(frozen=True)
class Flag:
    """A flag as the app understands it.

    Args:
        on: it lets anybody through.
        share: how many of a hundred requests.
    """

    on: bool
    share: int

    def lets_through(self, number: int) -> bool:
        """Tell whether the request with that number, counted from 0, gets the feature."""
        return self.on and (number + 1) * self.share // 100 > number * self.share // 100


Reader = Callable[[], Mapping[str, Flag]]


class Features:
    """The features in an app's code, each behind a flag.

    Args:
        read: returns the flags as their store has them now.
        kill_switch: a flag that, when on, switches off all AI work.

    Attributes:
        broken: who wants a feature to fail -> its flag.
    """

    def __init__(self, read: Reader, kill_switch: str = "") -> None:
        self._read, self._kill_switch = read, kill_switch
        self._asked: Counter[tuple[str, str]] = Counter()
        self._one_at_a_time = threading.Lock()
        self.broken: dict[str, str] = {}

    def spoil(self, who: str, flag: str) -> None:
        """Let the feature behind a flag fail; requests are counted anew, so that each rehearsal is alike."""
        with self._one_at_a_time:
            self._asked.clear()
            self.broken[who] = flag

    def fail(self, path: str) -> bool:
        """Tell whether a request of a page meets a broken feature; each call is one request."""
        if not self.broken:
            return False
        flags = self._read()
        met = [self._meets(name, flags.get(name), path) for name in set(self.broken.values())]
        return any(met)

    def document(self) -> str:
        """Return the flags as the app's debugging page shows them."""
        flags = self._read()
        disabled = flags.get(self._kill_switch)
        shown = {name: flag.share if flag.on else 0 for name, flag in sorted(flags.items())}
        return json.dumps({"flags": shown, "ai": "off" if disabled and disabled.on else "on"})

    def _meets(self, name: str, flag: Flag | None, path: str) -> bool:
        with self._one_at_a_time:
            number = self._asked[name, path]
            self._asked[name, path] += 1
        return flag is not None and flag.lets_through(number)


def in_database(dsn: Callable[[], str]) -> Reader:
    """Return how flags are read from the app's own table.

    Args:
        dsn: returns the address of its database.
    """

    def read() -> Mapping[str, Flag]:
        import psycopg

        try:
            with psycopg.connect(
                dsn(), connect_timeout=_PATIENCE_S, application_name="app", autocommit=True
            ) as connection:
                rows = connection.execute(_SELECT).fetchall()
        except psycopg.Error:
            return {}
        return {name: Flag(enabled and not killed, share) for name, enabled, killed, share in rows}

    return read


def at_posthog(url: str, project: str, token: Secret) -> Reader:
    """Return how flags are read from PostHog.

    Args:
        url: address of its API.
        project: number of the app's project.
        token: credential for it.
    """

    def read() -> Mapping[str, Flag]:
        with Client(url, name="posthog", token=token, timeout=_PATIENCE_S, policy=ONCE) as client:
            try:
                found = client.get(f"/api/projects/{project}/feature_flags/", params={"limit": 200}).json
            except SourceError:
                return {}
        return {flag["key"]: Flag(flag["active"], _share(flag)) for flag in found["results"]}

    return read


def nowhere() -> Mapping[str, Flag]:
    """Return no flags: the app has none."""
    return {}


def project_number(system: str) -> str:
    """Return the number of a system's project at PostHog."""
    return str(10_000 + sum(system.encode()))


def read_by(system: System, dsn: Callable[[], str], posthog: Callable[[str], Reader]) -> Features:
    """Return the features of a system's app, reading its flags where its file says that they are.

    Args:
        system: the system.
        dsn: returns the address of its database.
        posthog: returns the reader of a project at PostHog.
    """
    where = system.flags
    if where is None:
        return Features(nowhere)
    read = posthog(project_number(system.name)) if where.store == "posthog" else in_database(dsn)
    return Features(read, where.kill_switch)


def _share(flag: Mapping[str, Any]) -> int:
    """Return the share of the widest condition; no share means everybody, no condition nobody."""
    shares = [group.get("rollout_percentage") for group in flag["filters"]["groups"]]
    return max((100 if share is None else int(share) for share in shares), default=0)
