"""`opslib archive`: the archive as pages for a browser, and its copy in a store."""

from __future__ import annotations

import json
import secrets
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opslib.cli import copying, options, output, trusting, verifying
from opslib.errors import UsageError

if TYPE_CHECKING:
    from opslib.web.server import Server

_LISTEN = "127.0.0.1:8750"


@click.group("archive")
def archive_command() -> None:
    """Look through the archive in a browser, and keep a copy of it in an S3 bucket.

    \b
    opslib archive serve --open
    opslib archive push s3://acme-records/runbooks
    """


archive_command.add_command(copying.push_command)
archive_command.add_command(copying.pull_command)


@archive_command.command("serve")
@click.option(
    "--listen", metavar="HOST:PORT", default=_LISTEN, show_default=True, help="Port 0: any free one."
)
@click.option(
    "--token",
    "with_token",
    is_flag=True,
    help="Let in only whoever has the address that is printed; needed where others reach it.",
)
@trusting.keys
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@options.archive
@options.as_json
def serve(
    listen: str,
    with_token: bool,
    policy: Path | None,
    runner_keys: Path | None,
    open_it: bool,
    archive: str | None,
    as_json: bool,
) -> int:
    """Show the archive to a browser until Ctrl-C: runs, findings, trends, what differs, what is sealed.

    It only looks: no record, note or log is changed. Only this machine reaches it, unless --listen names
    another address; that needs --token, and whoever is on the way can read what is sent: an SSH tunnel
    (ssh -L 8750:localhost:8750 HOST) is the better way to look from elsewhere.

    \b
    opslib archive serve
    opslib archive serve --listen 127.0.0.1:0 --json
    opslib archive serve --listen 0.0.0.0:8750 --token
    """
    from opslib.web.library import Library
    from opslib.web.server import Server, is_loopback

    host, port = _place(listen)
    if not is_loopback(host) and not with_token:
        raise UsageError(
            f"{listen}: others reach this address, and findings tell them what is weak",
            hint="add --token, or listen on 127.0.0.1 and come through an SSH tunnel",
        )
    folder = options.set_archive(archive)
    trust = partial(trusting.trusted, folder, policy, runner_keys)
    if policy or runner_keys:
        trust()  # a file that is wrong is told now, not on a page
    library = (
        Library(folder, trust)
        if policy
        else Library(folder, trust, [verifying.OWN_KEYS], partial(verifying.witnessed, folder))
    )
    library.index()  # what cannot be read at all, too; an index that has to be made is begun
    with Server(library, host, port, secrets.token_urlsafe(32) if with_token else "") as server:
        _told(server, folder, as_json)
        if open_it:
            click.launch(server.address)
        _until_told(server)
    return 0


def _place(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--listen {listen} is no HOST:PORT", hint=f"e.g. {_LISTEN}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _told(server: Server, archive: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"address": server.address, "archive": str(archive)}))
    else:
        output.say(f"{archive} is shown at {server.address} until Ctrl-C.")
    sys.stdout.flush()


def _until_told(server: Server) -> None:
    """Answer until Ctrl-C, or until a service manager ends it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        output.note("Ended.")
    finally:
        signal.signal(signal.SIGTERM, before)
