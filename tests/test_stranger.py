"""A database and a web app that opslib knows nothing of, looked at as a plain `pg_monitor` role."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from opslib.sandbox.postgres import Cluster, Ground
from tests.servers import closed_port

ROOT = Path(__file__).parents[1]
SYSTEM_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
SERVERS = {"own": None, **{path.parents[1].name: str(path.parent) for path in SYSTEM_BINARIES}}
PASSWORD = "a-stranger's-pass/word@1"
TABLES = """
create table orders (id bigint generated always as identity primary key, total int not null);
insert into orders (total) select i from generate_series(1, 2000) i;
vacuum analyze orders;
"""


@dataclass
class Shop:
    """What the stranger has.

    Args:
        folder: a project with nothing in it but `parameters/`.
        url: the web app.
        admin: superuser's address of the database.
        dsn: the monitoring role's address.
    """

    folder: Path
    url: str
    admin: str
    dsn: str

    def opslib(self, *words: str, dsn: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the stranger's project."""
        own = {"SHOP_DSN": dsn or self.dsn, "OPSLIB_NOTEBOOKS": str(ROOT / "notebooks")}
        own |= {
            "OPSLIB_HOME": str(self.folder / "home"),
            "OPSLIB_PARAMETERS": str(self.folder / "parameters"),
        }
        command = [sys.executable, "-m", "opslib", *words]
        return subprocess.run(
            command, cwd=self.folder, env=os.environ | own, capture_output=True, text=True, check=False
        )

    def run(self, procedure: str, **options: str) -> dict[str, Any]:
        """Run a procedure on the stranger's production and return its document."""
        words = ("run", procedure, "--system", "shop", "--env", "production", "--json")
        done = self.opslib(*words, **options)
        document = dict(json.loads(done.stdout))
        assert done.returncode == {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}[document["verdict"]]
        return document


class Page(BaseHTTPRequestHandler):
    """A web app of one page."""

    def do_GET(self) -> None:
        """Answer 200."""
        body = b"<h1>Shop</h1>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Addresses (superuser, monitor) of a PostgreSQL with one small table, in each version at hand."""
    with pytest.MonkeyPatch.context() as patch:
        if SERVERS[request.param]:
            patch.setenv("OPSLIB_PG_BIN", str(SERVERS[request.param]))
        ground = Ground("super")
        try:
            server = Cluster(ground, "shop", 0)
            server.create(ground.template())
            server.start()
            host = f"host={server.socket_directory} port={server.port} dbname=postgres"
            admin = f"{host} user=postgres password=super"
            with psycopg.connect(admin, autocommit=True) as connection:
                for command in TABLES.strip().split(";\n"):
                    connection.execute(command.rstrip(";").encode())
                connection.execute(
                    sql.SQL("create role watcher login in role pg_monitor password {}").format(PASSWORD)
                )
            quoted = PASSWORD.replace("'", "\\'")
            yield admin, f"{host} user=watcher password='{quoted}'"
        finally:
            ground.close()


@pytest.fixture(scope="module")
def made(database: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The stranger's project after `opslib system new`, of which each test has a copy."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "parameters" / "systems").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shop = Shop(folder, f"http://127.0.0.1:{server.server_port}", *database)
    done = shop.opslib("system", "new", "shop", "--url", shop.url, "--dsn-env", "SHOP_DSN")
    assert done.returncode == 0, done.stderr
    yield shop
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(made: Shop, tmp_path: Path) -> Shop:
    """The stranger's project."""
    shutil.copytree(made.folder / "parameters", tmp_path / "parameters")
    return replace(made, folder=tmp_path)


@pytest.mark.parametrize(
    "procedure", ["health-check", "database-connections", "database-health", "site-down"]
)
def test_a_stranger_s_healthy_system_is_not_called_broken(shop: Shop, procedure: str) -> None:
    """What the role may not see is said, and does not make the rest unknown."""
    document = shop.run(procedure)
    bad = [found for found in document["findings"] if found["status"] not in ("ok", "skipped")]
    assert document["verdict"] in ("ok", "warning"), bad
    assert document["cause"] is None, document["causes"]


def test_forgotten_sessions_in_a_stranger_s_database_are_named(shop: Shop) -> None:
    """The same words as in the sandbox, on a server that opslib has never seen."""
    with psycopg.connect(shop.admin, application_name="checkout") as forgetful:
        forgetful.execute("lock table orders in access exclusive mode")
        waiting = psycopg.connect(shop.admin, application_name="reader", autocommit=True)
        reader = threading.Thread(target=_read, args=(waiting,))
        reader.start()
        try:
            document = shop.run("database-connections")
        finally:
            forgetful.rollback()
            reader.join(30)
            waiting.close()
    assert "checkout" in json.dumps([f for f in document["findings"] if f["check"] == "locks"])


def _read(connection: psycopg.Connection) -> None:
    connection.execute("select count(*) from orders")


def test_a_wrong_password_is_unknown_and_appears_nowhere(shop: Shop) -> None:
    """Neither broken nor well: we were not let in, and our secret is not in the record."""
    wrong = shop.dsn.replace("a-stranger", "no-such-secret")
    document = shop.run("database-connections", dsn=wrong)
    assert document["verdict"] == "unknown"
    files = [path for path in Path(document["record"]).iterdir() if path.is_file()]
    files += [path for path in (shop.folder / "home").rglob("*") if path.is_file()]
    assert not [path for path in files if b"no-such-secret" in path.read_bytes()]


def test_an_app_that_nobody_serves_any_more_is_not_ok(shop: Shop) -> None:
    """The address of an app that is gone refuses: that is seen."""
    path = shop.folder / "parameters" / "systems" / "shop.yml"
    path.write_text(path.read_text().replace(shop.url, f"http://127.0.0.1:{closed_port()}"))
    assert shop.run("health-check")["cause"]["id"] == "app-down"


def test_what_a_stranger_has_not_is_skipped_with_the_reason(shop: Shop) -> None:
    """No vendor is named, so no vendor can be asked: that is no error."""
    document = shop.run("vendor-status")
    assert {found["status"] for found in document["findings"]} == {"skipped"}
    assert all(found["why"] for found in document["findings"])


def test_doctor_says_what_works_and_what_that_leaves_out(shop: Shop) -> None:
    """Before the first night, not during it."""
    done = shop.opslib("doctor", "--system", "shop", "--env", "production")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "vendor-status" in done.stdout and "pg_monitor" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_the_address_of_a_health_endpoint_is_taken_as_it_was_pasted(shop: Shop) -> None:
    """People copy the address that their monitoring asks."""
    words = ("--url", f"{shop.url}/api/health", "--dsn-env", "SHOP_DSN")
    assert shop.opslib("system", "new", "pasted", *words).returncode == 0
    done = shop.opslib("run", "health-check", "--system", "pasted", "--env", "production", "--json")
    assert done.returncode == 0, done.stdout
