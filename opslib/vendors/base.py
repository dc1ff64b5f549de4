"""What the clients of all vendors have in common: an HTTP client, the settings of the system's file, acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from opslib.calls import Call
from opslib.errors import SourceError
from opslib.http import Client
from opslib.http.client import BEARER

if TYPE_CHECKING:
    from opslib.acts import Opening
    from opslib.config import VendorAccess
    from opslib.http import Answer


class VendorClient:
    """A client of one vendor's API, for one environment. Nothing is sent before it is asked.

    Args:
        access: token, settings and address of the vendor, from the system's file.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str]
    API: ClassVar[str]  # its address, unless the system's file names another

    def __init__(
        self,
        access: VendorAccess,
        *,
        resolver: str | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self._access, self._resolver, self._on_call = access, resolver, on_call
        self._client = Client(
            access.api_url or self.API,
            name=self.NAME,
            token=access.token,
            token_header=self._token_header(),
            resolver=resolver,
            on_call=on_call,
        )

    def act(self, opening: Opening) -> Answer:
        """Carry out the act of an opening, once."""
        return self._client.act(opening)

    def _token_header(self) -> tuple[str, str]:
        return BEARER

    def _setting(self, name: str) -> str:
        """Return one of the vendor's settings.

        Raises:
            SourceError: the system's file has none.
        """
        value = self._access.settings.get(name, "")
        if not value:
            raise SourceError(
                f"the settings of {self.NAME} name no {name}", hint=f"add `{name}:` to the file"
            )
        return str(value)

    @property
    def _project(self) -> str:
        return self._setting("project")
