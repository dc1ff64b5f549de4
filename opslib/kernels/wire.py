"""How client, zygote and kernel speak: one private connection a kernel, one JSON object a line.

    zygote  greeting                       who it is, and what is fixed in it
    client  one byte: FORK, STATUS, STOP or END
    kernel  {"pid": …}                     from the fork itself
    client  the request, with the descriptors of stdout and stderr
    kernel  {"ready": true}                its sockets are bound; or {"refused": why}
    zygote  {"exit": …}                    when the kernel has ended

The zygote reads nothing but the one byte: what a run is given, its secrets too, goes to the fork alone.
The client holds the connection as long as it wants the kernel; when it closes, the kernel is killed.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

FORK, STATUS, STOP, END = b"F", b"S", b"Q", b"K"
TAKEN = 75  # exit code of a zygote that finds another one in its place
_CREDENTIALS = struct.Struct("3i")
_CHUNK = 65536
_STANDARD_STREAMS = 2

Message = dict[str, Any]


class Closed(OSError):
    """The other side has closed the connection."""


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return process and user of the other side, as the kernel of this machine knows them."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(told)
    return pid, user


def line(message: Message) -> bytes:
    """Return a message as it is sent."""
    return json.dumps(message).encode() + b"\n"


class Lines:
    """Reads messages from a connection.

    Args:
        connection: blocking, or with a time-out.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def next(self) -> Message:
        """Return the next message.

        Raises:
            Closed: there is none any more.
            OSError: none came in time.
        """
        while b"\n" not in self._rest:
            self._take(self._connection.recv(_CHUNK))
        return self._cut()

    def now(self) -> Message | None:
        """Return the next message if it is already there.

        Raises:
            Closed: there is none any more.
        """
        while b"\n" not in self._rest:
            try:
                self._take(self._connection.recv(_CHUNK, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return None
        return self._cut()

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            raise Closed("the connection was closed")
        self._rest += chunk

    def _cut(self) -> Message:
        first, _, self._rest = self._rest.partition(b"\n")
        found: Message = json.loads(first)
        return found


def send_request(connection: socket.socket, request: Message, streams: tuple[int, int]) -> None:
    """Send what a kernel is to be, with the descriptors of its stdout and stderr."""
    content = line(request)
    sent = socket.send_fds(connection, [content], list(streams))
    connection.sendall(content[sent:])


def receive_request(connection: socket.socket) -> tuple[Message, tuple[int, int]]:
    """Return what was asked, and the descriptors that came with it.

    Raises:
        Closed: whoever asked is gone.
    """
    content, streams, _, _ = socket.recv_fds(connection, _CHUNK, _STANDARD_STREAMS)
    while content and not content.endswith(b"\n"):
        chunk = connection.recv(_CHUNK)
        content = content + chunk if chunk else b""
    if not content or len(streams) != _STANDARD_STREAMS:
        for stream in streams:
            os.close(stream)
        raise Closed("the request is not whole")
    found: Message = json.loads(content)
    return found, (streams[0], streams[1])
