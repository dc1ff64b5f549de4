"""Turn a host name into addresses, by the machine's own way or by a named name server."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from dataclasses import dataclass

TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Resolution:
    """What a name server said.

    Args:
        host: the name asked for.
        addresses: its addresses; empty when there are none.
        error: why there are none, in a sentence; empty when there are some.
        kind: nxdomain, no-address, servfail, timeout, or empty.
        ms: how long the answer took.
    """

    host: str
    addresses: tuple[str, ...] = ()
    error: str = ""
    kind: str = ""
    ms: float = 0.0


def resolve(host: str, resolver: str | None = None, *, timeout: float = TIMEOUT_S) -> Resolution:
    """Look a name up; never raises for an answer that is missing.

    Args:
        host: a host name, or an address, which is returned as it is.
        resolver: `address:port` of the name server to ask; None asks as every program on this machine does.
        timeout: seconds until the answer counts as missing.
    """
    if _is_address(host):
        return Resolution(host, (host,))
    started = time.perf_counter()
    look = _by_system if resolver is None else _by_server
    addresses, kind, error = look(host, resolver or "", timeout)
    ms = (time.perf_counter() - started) * 1000
    return Resolution(host, addresses, error, kind, round(ms, 1))


_Answer = tuple[tuple[str, ...], str, str]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _by_system(host: str, _: str, timeout: float) -> _Answer:
    """Ask getaddrinfo; in a thread, because it cannot be told when to give up."""
    answers: queue.Queue[_Answer] = queue.Queue()
    threading.Thread(target=lambda: answers.put(_getaddrinfo(host)), daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except queue.Empty:
        return (), "timeout", f"no name server answered for {host} within {timeout:g} s"


def _getaddrinfo(host: str) -> _Answer:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a valid name"
        return (), "servfail" if again else "nxdomain", f"{host} cannot be resolved: {reason}"
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found)), "", ""


def _by_server(host: str, server: str, timeout: float) -> _Answer:
    import dns.exception
    import dns.resolver

    address, _, port = server.rpartition(":")
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.port, asked.lifetime = [address], int(port), timeout
    asked.retry_servfail = False
    try:
        answer = asked.resolve(host, "A", search=False)
    except dns.resolver.NXDOMAIN:
        return (), "nxdomain", f"{host} does not exist, says {server}"
    except dns.resolver.NoAnswer:
        return (), "no-address", f"{host} has no address, says {server}"
    except dns.resolver.NoNameservers:
        return (), "servfail", f"the name server {server} failed for {host}"
    except dns.exception.DNSException:
        return (), "timeout", f"the name server {server} did not answer for {host} within {timeout:g} s"
    return tuple(record.to_text() for record in answer), "", ""
