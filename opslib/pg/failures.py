"""What it means when the database does not let us in, or does not answer.

A failed connection is a finding, not a crash, so every way of failing gets a name. PostgreSQL's client
library gives no SQLSTATE for a refused login, so those names come from the messages of libpq,
PostgreSQL, PgBouncer and Supavisor. Where a server speaks another language than English, a message that
fits none of the patterns is `unreachable`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opslib.errors import Forbidden, Malformed, SourceError, Unreachable

if TYPE_CHECKING:
    import psycopg

# What may be over in a moment; anything else is not tried again.
PASSING = (
    "slots-exhausted", "role-limit", "database-limit", "pool-exhausted", "starting-up", "timeout", "lost",
)  # fmt: skip

DAMAGED = "the data is damaged"


@dataclass(frozen=True)
class _Kind:
    """One way of failing: how it reads, what it is called, what to do."""

    name: str
    error: type[SourceError]
    patterns: tuple[str, ...]
    sentence: str
    hint: str


# The order matters: the first pattern that is found names the failure.
_KINDS = (
    _Kind(
        "authentication",
        Forbidden,
        (
            r"password authentication failed", r"no pg_hba\.conf entry", r"role .* does not exist",
            r"tenant or user not found", r"not permitted to log in", r"authentication (?:failed|error)",
            r"no such user", r"no password supplied", r"SASL",
        ),
        "the login was refused",
        "check the user and the password behind the door's secret",
    ),
    _Kind(
        "permission",
        Forbidden,
        (r"permission denied for database",),
        "the role may not use this database",
        "grant connect on the database to the role",
    ),
    _Kind(
        "slots-exhausted",
        Unreachable,
        (r"sorry, too many clients", r"remaining connection slots are reserved"),
        "every connection slot of the server is taken",
        "another door, or a role in pg_use_reserved_connections, may still get in",
    ),
    _Kind(
        "role-limit",
        Unreachable,
        (r"too many connections for role",),
        "the role has reached its own connection limit",
        "close other sessions of this role, or raise its limit",
    ),
    _Kind(
        "database-limit",
        Unreachable,
        (r"too many connections for database",),
        "the database has reached its own connection limit",
        "see datconnlimit in pg_database",
    ),
    _Kind(
        "pool-exhausted",
        Unreachable,
        (
            r"query_wait_timeout", r"no more connections allowed", r"max ?clients", r"max client connections",
            r"server_login_retry", r"unable to check ?out", r"checkout timeout",
        ),
        "the pooler has no connection to give",
        "look through the direct door: the server itself may have room",
    ),
    _Kind(
        "starting-up",
        Unreachable,
        (r"starting up", r"not yet accepting connections", r"not accepting connections", r"in recovery mode"),
        "the server is starting",
        "wait a minute and look again",
    ),
    _Kind(
        "shutting-down",
        Unreachable,
        (r"shutting down", r"administrator command"),
        "the server is being stopped, or ended the session",
        "ask who stops it, and look at the vendor's console",
    ),
    _Kind(
        "no-database",
        Unreachable,
        (r"database .* does not exist", r"no such database"),
        "there is no database of that name",
        "check the name at the end of the address",
    ),
    _Kind(
        "malformed",
        Malformed,
        (
            r"invalid response", r"expected authentication request", r"lost synchronization",
            r"unexpected response", r"unsupported protocol", r"protocol error",
        ),
        "something answers, but it is not PostgreSQL",
        "check host and port of the address",
    ),
    _Kind(
        "dns",
        Unreachable,
        (
            r"could not translate host name", r"failed to resolve", r"name or service not known",
            r"getaddrinfo", r"nodename nor servname", r"no address associated",
        ),
        "the host's name is not found",
        "check the host of the address, then the name server",
    ),
    _Kind(
        "timeout",
        Unreachable,
        (r"timeout expired", r"timed out", r"connection timeout"),
        "no answer came in time",
        "a firewall, a paused project, or a server too busy to answer",
    ),
    _Kind(
        "refused",
        Unreachable,
        (
            r"connection refused", r"no such file or directory", r"is the server running",
            r"network is unreachable", r"no route to host",
        ),
        "nothing listens there",
        "see in the vendor's console whether it runs",
    ),
    _Kind(
        "tls",
        Unreachable,
        (r"\bssl\b", r"certificate", r"\btls\b", r"sslmode"),
        "no safe connection could be agreed on",
        "opslib never falls back to plain text; a private server without TLS needs sslmode=disable",
    ),
    _Kind(
        "lost",
        Unreachable,
        (
            r"closed the connection", r"connection (?:reset|is closed|is lost|not open)", r"broken pipe",
            r"eof detected", r"terminating", r"closed unexpectedly",
        ),
        "the connection was cut",
        "look again; if it stays so, see the server's log",
    ),
)  # fmt: skip


def classify(text: str, where: str) -> SourceError:
    """Name a failed connection by its message.

    Args:
        text: what the client library or the server said.
        where: the door, as the message should call it.
    """
    said = _said(text)
    for kind in _KINDS:
        if any(re.search(pattern, text, re.IGNORECASE) for pattern in kind.patterns):
            return kind.error(f"{where}: {kind.sentence} ({said})", kind=kind.name, hint=kind.hint)
    return Unreachable(f"{where}: {said}", kind="unreachable")


def failed_statement(error: psycopg.Error, where: str) -> SourceError:
    """Name a failed statement by its SQLSTATE, and by its message where there is none."""
    said = (error.diag.message_primary or str(error)).strip()
    state = error.sqlstate or ""
    if state == "55P03":
        return Unreachable(f"{where}: a lock was not given in time ({said})", kind="lock-timeout")
    if state == "57014":
        return Unreachable(f"{where}: the statement took too long ({said})", kind="statement-timeout")
    if state in ("40001", "40P01"):
        return Unreachable(f"{where}: others changed the same rows at the same moment ({said})", kind="moved")
    if state == "42501":
        return Forbidden(
            f"{where}: {said}", kind="permission", hint="`opslib doctor --sql` prints the grants"
        )
    if state in ("XX001", "XX002"):
        return Malformed(f"{where}: {DAMAGED}: {said}", kind="damaged")
    if not state or state.startswith(("08", "53", "57")):
        return classify(said, where)
    return Malformed(f"{where}: the server did not take the statement: {said} ({state})", kind="statement")


def _said(text: str) -> str:
    """Return the telling part of a message of many lines: the server's own words, else its first line."""
    fatal = re.search(r"FATAL:\s*(.+)", text)
    line = fatal[1] if fatal else (text.strip().splitlines() or ["no message"])[0]
    return re.sub(r"^connection (?:failed|is bad): ", "", line.strip())[:300]
