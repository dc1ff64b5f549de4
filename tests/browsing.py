"""An archive, served as it is to a browser, and the ways to ask it."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from opslib.archive.notes import Notes
from opslib.runner import notary
from opslib.web.library import Library
from opslib.web.server import Server
from tests import kept, pages
from tests.kept import NOW, keep

HOUR = timedelta(hours=1)
THEN = datetime(2025, 6, 1, 12, tzinfo=UTC)  # what is sealed must not seem to come from the future
LONG = NOW - THEN
WELL, ILL, PLAIN = "0-well", "1-ill", "2-plain"


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Args:
        status: of HTTP.
        headers: of the answer, by their names in small letters.
        text: its body.
    """

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def runs(self) -> list[str]:
        """Ids of the runs that are listed, in their order."""
        return re.findall(r'<span class="what"><a href="/runs/([^"]+)"', self.text)


@contextmanager
def served(archive: Path, token: str = "") -> Iterator[Server]:
    """Serve an archive on loopback."""
    library = Library(archive, partial(notary.own_trust, archive))
    with Server(library, "127.0.0.1", 0, token) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def asked(server: Server, path: str, method: str = "GET", **headers: str) -> Reply:
    """Ask for a path as it stands; `Host` may be another."""
    line = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    try:
        line.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        found = line.getresponse()
        told = {name.lower(): value for name, value in found.getheaders()}
        return Reply(found.status, told, found.read().decode("utf-8", "replace"))
    finally:
        line.close()


def listed(server: Server, **query: str) -> Reply:
    """Ask for the list of runs."""
    return asked(server, f"/?{urlencode(query)}")


def run(server: Server, run_id: str, part: str = "") -> Reply:
    """Ask for the page of a run."""
    return asked(server, f"/runs/{quote(run_id, safe='')}{part}")


def fill(archive: Path) -> None:
    """Put runs into an archive that differ in all that can be asked for, two of them sealed."""
    slots = partial(kept.found, "connection slots", subject="direct", limit="80 % / 90 %")
    keep(archive, WELL, LONG + 9 * HOUR, sealed=True, findings=[slots("ok", observed="40 %")])
    step = {"procedure": "pool-saturation", "parameters": {"system": "kulti"}, "why": "soon none is left"}
    shown = pages.stream("FATAL: sorry, too many clients already")
    keep(
        archive, ILL, LONG + 8 * HOUR, sealed=True, verdict="critical", next=[step],
        cells=[pages.code("x", shown)],
        findings=[slots("critical", observed="95 %", why="new connections are refused")],
        parameters={"samples": 5}, page="<h1>the kept report</h1>",
        **kept.cause("connection-leak", "klutr-api keeps its sessions"),
    )  # fmt: skip
    keep(archive, PLAIN, LONG + 7 * HOUR, system="klutr", trigger="schedule", actor="schedule:daily")
    keep(archive, "3-sandbox", LONG + 6 * HOUR, environment="sandbox", procedure="locks", actor="bo")
    keep(archive, "4-warning", LONG + 5 * HOUR, verdict="warning", procedure="locks")
    Notes(archive).add(ILL, "bo", "false alarm of the load test")


def every_page(first: str = WELL, second: str = ILL) -> list[str]:
    """Return the addresses of all kinds of pages."""
    target = "procedure=site-down&system=kulti&environment=production"
    return [
        "/", "/?verdict=critical&since=52w", "/?words=clients", f"/runs/{first}", f"/runs/{second}",
        f"/runs/{second}/report", f"/runs/{second}/notebook", f"/diff?before={first}&after={second}",
        f"/procedure?{target}", "/nowhere", "/?since=never", "/style.css",
    ]  # fmt: skip
