"""A small real name server on loopback: every name of the sandbox leads to 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

DOMAIN = "sandbox.test"
_TTL_S = 1


@dataclass
class Records:
    """What the name server knows.

    Args:
        hosts: names (without the domain) that exist, each with all names that end in `-<name>`.
        broken: full names that fail, with what they fail with: NXDOMAIN, SERVFAIL or SILENCE.
    """

    hosts: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)

    def answer(self, name: str) -> str:
        """Return NOERROR, or how the name fails."""
        plain = name.rstrip(".").lower()
        if plain in self.broken:
            return self.broken[plain]
        host = plain.removesuffix(f".{DOMAIN}")
        known = host != plain and any(host == h or host.startswith(f"{h}-") for h in self.hosts)
        return "NOERROR" if known else "NXDOMAIN"


class NameServer(asyncio.DatagramProtocol):
    """Answers questions over UDP. `start` and `stop` must run in the event loop that serves."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.address = ""
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Begin to answer; `address` is then `127.0.0.1:port`."""
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{found.getsockname()[1]}"
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=found)

    async def stop(self) -> None:
        """Answer no more."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question; what is no question is dropped."""
        try:
            question = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        said = self._answer(question) if question.question else None
        if said is not None and self._transport is not None:
            self._transport.sendto(said.to_wire(), addr)

    def _answer(self, question: dns.message.Message) -> dns.message.Message | None:
        asked = question.question[0]
        outcome = self.records.answer(asked.name.to_text())
        if outcome == "SILENCE":
            return None
        said = dns.message.make_response(question)
        said.flags |= dns.flags.AA | dns.flags.RA
        said.set_rcode(dns.rcode.from_text(outcome))
        if outcome == "NOERROR" and asked.rdtype == dns.rdatatype.A:
            said.answer.append(dns.rrset.from_text(asked.name, _TTL_S, "IN", "A", "127.0.0.1"))
        return said
