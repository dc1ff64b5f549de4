"""A client that also carries bytes to a server, or has something removed there, for an opening's work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opslib import acts
from opslib.errors import Malformed, Refused, Unreachable
from opslib.http import retry
from opslib.http.answer import Answer, Sending
from opslib.http.client import Client

if TYPE_CHECKING:
    from opslib.acts import Opening

METHODS = ("POST", "DELETE")


class Carrier(Client):
    """A client for a server that keeps files; arguments as for `Client`."""

    def carry(
        self,
        opening: Opening,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request that is all of the work that an opening allows, once, and return its answer.

        Args:
            opening: the leave; it is spent before anything is sent.
            method: POST or DELETE.
            path: appended to the base address.
            content: the bytes to send.
            headers: besides the client's own.

        Raises:
            Refused: it is no leave for a work, or used before. Nothing was sent.
            Unreachable: nobody knows whether it was done.
        """
        if not isinstance(opening.act, acts.Work) or method not in METHODS:
            raise Refused(f"{opening.act.text} is no work that is done with {method}")
        asked = acts.to_dict(opening.use())
        sending = Sending(method, path, None, None, headers or {}, asked, content)
        try:
            return self._patiently(sending, retry.turned_away)
        except Malformed as error:
            raise Unreachable(f"{error.message}; whether it was done is not known", kind="lost") from None
