"""Getting in: one try at one door, over TLS wherever the network could listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from opslib.errors import Forbidden, Malformed, SecretError
from opslib.pg.failures import classify

if TYPE_CHECKING:
    import psycopg

    from opslib.config import Door, Secret

CONNECT_TIMEOUT_S = 5
_NAME_BYTES = 63
_POOLER_PORT = "6543"
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class DoorLike(Protocol):
    """What is needed of a door: `opslib.config.Door` has it."""

    @property
    def name(self) -> str:
        """direct, session or pooler."""

    @property
    def dsn(self) -> Secret:
        """Reference to its address."""

    @property
    def pooled(self) -> bool:
        """It is declared to be a transaction pooler."""


def elsewhere(door: DoorLike, host: str) -> Door:
    """Return a door to the same database, as the same role, at another host.

    Raises:
        SecretError: its own address cannot be had.
        SourceError: that is no address.
    """
    from psycopg.conninfo import make_conninfo

    from opslib.config import Door, Secret

    dsn = make_conninfo("", **{**parameters(door), "host": host})
    return Door(door.name, Secret.literal(f"{door.dsn.name} elsewhere", dsn), door.pooled)


def open_door(door: DoorLike, application_name: str) -> tuple[psycopg.Connection, bool]:
    """Open one door once.

    Args:
        door: the way in.
        application_name: what the server's administrator sees; cut to the 63 bytes that are kept.

    Returns:
        The connection (autocommit, no prepared statements), and whether it goes through a pooler.

    Raises:
        SourceError: it did not open; `kind` says in which way.
    """
    import psycopg

    given = parameters(door)
    options: dict[str, Any] = {**given, **_KEEPALIVE, "connect_timeout": CONNECT_TIMEOUT_S}
    options["application_name"] = cut(application_name)
    try:
        connection = psycopg.connect(
            **options,
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        # `from None`: the chain would carry the address, and with it the password.
        raise classify(str(error), f"door {door.name}") from None
    return connection, is_pooler(door.pooled, given)


def is_pooler(declared: bool, parameters: dict[str, str]) -> bool:
    """Tell whether a door leads through a transaction pooler, whatever the file declares.

    A setting made through such a door would leak into the app's sessions, so the known marks count:
    port 6543 (Supavisor) and `-pooler` in the host (Neon).
    """
    ports = str(parameters.get("port", "")).split(",")
    return declared or _POOLER_PORT in ports or "-pooler" in str(parameters.get("host", ""))


def cut(name: str) -> str:
    """Return a name within the 63 bytes that PostgreSQL keeps."""
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")


def parameters(door: DoorLike) -> dict[str, str]:
    """Return the connection's parameters, with TLS demanded wherever the network could listen.

    Raises:
        SourceError: the secret is missing, or holds no address; the message does not repeat it.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = conninfo_to_dict(door.dsn.reveal())
    except SecretError as error:
        raise Forbidden(f"door {door.name}: {error.message}", kind="secret", hint=error.hint) from None
    except psycopg.ProgrammingError:
        raise _no_address(door) from None
    found = {key: str(value) for key, value in given.items() if value is not None}
    if _torn(found):
        raise _no_address(door)
    if not _local(found) and found.get("sslmode", "prefer") in ("prefer", "allow"):
        found["sslmode"] = "require"
    return found


def _local(parameters: dict[str, str]) -> bool:
    hosts = (parameters.get("hostaddr") or parameters.get("host", "")).split(",")
    near = ("", "localhost", "::1")
    return all(host in near or host.startswith(("/", "@", "127.")) for host in hosts)


def _torn(found: dict[str, str]) -> bool:
    """Tell whether an unescaped `@` or `/` of a password has ended up in host or port.

    Connecting would put that part of the password into messages and name servers.
    """
    ports = found.get("port", "0").split(",")
    return "@" in found.get("host", "")[1:] or not all(port.isdigit() for port in ports if port)


def _no_address(door: DoorLike) -> Malformed:
    return Malformed(
        f"door {door.name}: {door.dsn.reference} holds no PostgreSQL address",
        kind="address",
        hint="write postgresql://user:password@host:port/database, the password percent-encoded",
    )
