"""Nothing is changed without an opening of the gate: all clients, all statements, all modules are walked."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import opslib
from opslib import acts, config, vendors
from opslib.acts import Opening
from opslib.config import Secret, VendorAccess
from opslib.config.environment import Door
from opslib.errors import OpsError, Refused, UsageError
from opslib.http import ONCE, Client, safe
from opslib.pg import Database, sql
from opslib.sandbox.databases import Databases
from tests.servers import Arrived, noting, raw, reply, serving
from tests.statements import COMMANDS, ENTRIES, EXTENDED, READS, STATEMENTS, SYSTEM, values

PACKAGE = Path(opslib.__file__).parent
# What asks for an extension that the system here does not have cannot be run here.
HERE = tuple(name for name in READS if name not in EXTENDED)
# Followed by a bracket in SQL, and no function.
KEYWORDS = {
    "all", "and", "any", "array", "as", "by", "case", "coalesce", "else", "exists", "filter", "from",
    "greatest", "in", "join", "lateral", "least", "materialized", "not", "nullif", "on", "operator", "or",
    "over", "row", "select", "system", "then", "union", "using", "values", "when", "where", "with", "within",
}  # fmt: skip
# Functions that the server does not promise to be free of side effects, and that have none.
HARMLESS = {
    "bt_index_check", "clock_timestamp", "pg_blocking_pids", "pg_control_system", "pg_current_wal_lsn",
    "pg_database_size", "pg_is_in_recovery", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp", "pg_relation_size", "pg_indexes_size", "pg_table_size",
    "pg_stat_get_xact_numscans", "pg_total_relation_size",
}  # fmt: skip


def anything(name: str, kind: Any) -> Any:
    """Return a value for a parameter of a vendor's method."""
    plain: dict[str, Any] = {"int": 1, "float": 1.0, "str": "x1", "bool": True}
    return next((value for word, value in plain.items() if str(kind).startswith(word)), ["x1"])


def asked(client: Any, method: str) -> None:
    """Call a method with plausible values; that it cannot be answered is no matter here."""
    function = getattr(client, method)
    needed = [
        (name, parameter)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    try:
        function(**{name: anything(name, parameter.annotation) for name, parameter in needed})
    except OpsError:
        return


def passing_on(url: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a handler that passes a request on to the simulated vendor, so that clients get further."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        headers = {"authorization": request.headers.get("authorization", "")}
        with httpx.Client(trust_env=False) as client:
            answer = client.request(request.command, url + request.path, headers=headers)
        reply(answer.status_code, answer.content)(request)

    return handle


class Anything(dict[str, str]):
    """Settings that name everything."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value for any setting."""
        return super().get(key, "x1")

    def __missing__(self, key: str) -> str:
        return "x1"


def arrivals(
    name: str, handle: Callable[[BaseHTTPRequestHandler], None], known: VendorAccess | None
) -> list[Arrived]:
    """Call everything that a vendor's client offers to procedures; return what arrived."""
    arrived: list[Arrived] = []
    token = known.token if known else Secret.literal("test-token", "token-of-the-test")
    settings = known.settings if known else Anything()
    with serving(noting(arrived, handle)) as url:
        access = VendorAccess(name, url, "", "none", (), settings, token)
        made = vendors.load(name)(access)
        for method in vendors.load(name).COLUMNS:
            before = len(arrived)
            asked(made, method)
            assert len(arrived) > before, f"{name}.{method} asked nothing, so this proves nothing"
    return arrived


def harmless(name: str, one: Arrived) -> bool:
    """Tell whether a request that arrived at a vendor can change nothing."""
    path = "" if one.path == "/" else one.path
    question = one.method == "POST" and safe.reads(name, path, json.loads(one.body))
    return one.method in ("GET", "HEAD") or question


def simulated(name: str) -> VendorAccess | None:
    """Return how a vendor is reached in the sandbox, where it is simulated."""
    for system in config.list_systems():
        access = config.load_system(system).environment("sandbox").vendors.get(name)
        if access and access.api_url and access.token:
            return access
    return None


@pytest.mark.parametrize("name", vendors.names())
def test_whatever_a_procedure_asks_of_a_vendor_only_reads(sandbox: object, name: str) -> None:
    """Every method that `ops.<vendor>` offers, against a server that knows nothing and a simulated vendor."""
    arrived = arrivals(name, reply(), None)
    if access := simulated(name):
        arrived += arrivals(name, passing_on(access.api_url), access)
    assert [f"{one.method} {one.path}" for one in arrived if not harmless(name, one)] == []


def test_the_table_of_safe_questions_names_only_vendors_and_whole_paths() -> None:
    """A pattern that takes anything would be a hole in the wall."""
    for known in safe.SAFE.values():
        for path in known:
            assert "." not in path and "(" not in path and not path.endswith(("*", "+"))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "post"])
def test_without_an_opening_no_socket_is_opened(method: str) -> None:
    """The refusal comes before the name look-up, the connection and the credential."""
    connected: list[int] = []
    token = Secret.parse("env:OPSLIB_TEST_NOWHERE")
    with (
        raw(lambda connection: connected.append(1)) as url,
        Client(url, name="vercel", token=token) as client,
    ):
        with pytest.raises(UsageError, match="only reads"):
            client.fetch("/v1", method=method)
        with pytest.raises(UsageError, match="only reads"):
            client.ask("/v1", {})
        other = Opening(acts.Request("railway", "POST", "/v1"), "key")
        with pytest.raises(Refused):
            client.act(other)
    assert connected == []
    assert other.use()


def test_an_opening_opens_once() -> None:
    """Also where the first attempt failed: a second one needs the gate, which looks first."""
    arrived: list[Arrived] = []
    opening = Opening(acts.Request("vercel", "POST", "/v1", {}, {"a": 1}), "key")
    with (
        serving(noting(arrived, reply(500))) as url,
        Client(url, name="vercel", policy=ONCE) as client,
    ):
        with pytest.raises(OpsError, match="500"):
            client.act(opening)
        with pytest.raises(Refused, match="used already"):
            client.act(opening)
    assert [(one.method, one.body) for one in arrived] == [("POST", b'{"a":1}')]


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    """A database with the tables that statements name."""
    with closing(Databases([SYSTEM], scale=0.1)) as databases:
        with databases.admin(SYSTEM) as admin:
            admin.execute(ENTRIES)
            admin.execute(b"grant insert on public.entries to opslib_operator")
        yield databases


@pytest.fixture
def admin(server: Databases) -> Iterator[psycopg.Connection]:
    """A session that could change anything."""
    with closing(psycopg.connect(server.dsn(SYSTEM, "admin"))) as connection:
        yield connection


def bare(name: str) -> str:
    """Return the text of a statement without remarks and literals."""
    # The type "char" can be written in no other way.
    return re.sub(r"--.*|'[^']*'|::\"char\"", "", STATEMENTS[name].text).lower()


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - set(READS)))
def test_a_look_refuses_each_statement_that_changes_something(server: Databases, name: str) -> None:
    """Also by the operator's door, and before it connects."""
    door = Door("operator", Secret.literal("test", server.dsn(SYSTEM, "operator")), False)
    with closing(Database([door], application_name="opslib/test/1")) as database:
        with pytest.raises(Refused, match="only the gate"):
            database.table(name, **values(STATEMENTS[name]))
        assert database.door == ""


@pytest.mark.parametrize("name", HERE)
def test_a_statement_that_reads_leaves_no_trace(admin: psycopg.Connection, name: str) -> None:
    """In a session that may write: no transaction number, no lock but the one that reading takes."""
    text, bound = STATEMENTS[name].filled(admin.info.server_version // 10000, values(STATEMENTS[name]))
    admin.execute(text.encode(), bound).fetchall()
    written = "select pg_current_xact_id_if_assigned()"
    locks = (
        "select distinct locktype, mode from pg_locks where pid = pg_backend_pid()"
        " and mode <> 'AccessShareLock' and locktype <> 'virtualxid'"
        # The server itself asks a sequence for its last value under the lock that nextval takes.
        " and not exists (select from pg_class where oid = relation and relkind = 'S')"
    )
    assert admin.execute(written).fetchall() == [(None,)]
    assert admin.execute(locks).fetchall() == []


@pytest.mark.parametrize("name", READS)
def test_a_statement_that_reads_calls_nothing_with_side_effects(admin: psycopg.Connection, name: str) -> None:
    """The server itself says which functions may have some; a function that it does not know is refused."""
    text = bare(name)
    literals = re.sub(r"--.*", "", STATEMENTS[name].text).lower()
    assert not re.search(r"[\"$;]|/\*", text) and not re.search(r"(?<![\w'])(e|u&)'", literals), (
        "not to be read for sure"
    )
    called = set(re.findall(r"\b(\w+)\s*\(", text)) - KEYWORDS - HARMLESS
    asked = "select proname, bool_or(provolatile = 'v') from pg_proc where proname = any(%s) group by 1"
    known: dict[str, bool] = dict(admin.execute(asked, [sorted(called)]).fetchall())
    aliases = set(re.findall(r"(?:\bas|\bordinality|\))\s+(\w+)\s*\(", text))
    assert called - set(known) - aliases == set()
    assert {function for function, volatile in known.items() if volatile} == set()
    assert not re.search(
        r"\b(insert|update|delete|merge|truncate|into|call|do|copy|lock|for\s+share)\b", text
    )


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - set(READS) - set(COMMANDS)))
def test_a_statement_that_changes_something_keeps_its_headers_word(server: Databases, name: str) -> None:
    """As the operator, with values that fit nothing: no row is touched, and names and types are right."""
    statement = STATEMENTS[name]
    with closing(psycopg.connect(server.dsn(SYSTEM, "operator"))) as connection:
        text, bound = statement.filled(connection.info.server_version // 10000, values(STATEMENTS[name]))
        cursor = connection.execute(text.encode(), {**bound, **dict.fromkeys(statement.step)})
        assert [column.name for column in cursor.description or ()] == [c.name for c in statement.returns]
        assert statement.kind == sql.LOCK or cursor.fetchall() == []
        connection.rollback()


@cache
def modules() -> dict[str, ast.Module]:
    """Return the tree of every module of the package, by its path."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(f.relative_to(PACKAGE)): ast.parse(f.read_text(encoding="utf-8")) for f in files}


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Return all that is called, given to a call by name, or imported, each with the path of its module."""
    kinds = (ast.Call, ast.keyword, ast.Import, ast.ImportFrom)
    walked = ((path, node) for path, tree in modules().items() for node in ast.walk(tree))
    return [(path, node) for path, node in walked if isinstance(node, kinds)]


def calling(name: str) -> set[str]:
    """Return the modules in which something of that name is called, as a function or a method."""
    found = set()
    for path, node in nodes():
        if isinstance(node, ast.Call):
            called = node.func
            here = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            found |= {path} if here == name else set()
    return found


def importing(*names: str) -> set[str]:
    """Return the modules that import one of these, or a part of them, at any place but for types only."""
    found = set()
    for path, node in nodes():
        given = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            given = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if any(one == name or one.startswith(f"{name}.") for one in given for name in names):
            found.add(path)
    return found


def outside(found: set[str], *allowed: str) -> set[str]:
    """Return the modules that are in none of these folders and are none of these files."""
    return {path for path in found if not path.startswith(allowed)}


def test_openings_are_made_by_the_gate_alone() -> None:
    """Whoever could make one could change anything."""
    assert outside(calling("Opening"), "gate/") == set()
    assert calling("Opening"), "nothing makes any: this proves nothing"


def test_acts_are_carried_out_by_the_gate_alone() -> None:
    """A vendor's client passes an opening on and does nothing else with it."""
    assert outside(calling("act"), "gate/", "vendors/", "pg/") == set()
    for path, tree in modules().items():
        if path.startswith("vendors/"):
            for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
                calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
                acting = [n for n in calls if isinstance(n.func, ast.Attribute) and n.func.attr == "act"]
                assert not acting or function.name == "act", f"{path}: {function.name} acts"
                assert all([getattr(a, "id", "") for a in n.args] == ["opening"] for n in acting), path


def test_bytes_are_carried_for_the_gate_alone() -> None:
    """A work does what no request says, so only the gate begins one, and one module sends what it takes."""
    assert outside(calling("carry_out"), "gate/") == set()
    assert outside(calling("carry"), "files/supabase.py") == set()
    assert calling("carry_out") and calling("carry"), "nobody does: this proves nothing"


def test_only_the_lowest_layer_spends_an_opening() -> None:
    """A spent opening is an act in plain sight, secret values and all."""
    own = ("backup/restoring.py", "files/folder.py", "files/s3.py")
    assert outside(calling("use"), "http/", "pg/", *own) == set()


def test_only_one_package_talks_http_and_one_talks_to_databases() -> None:
    """A second way out would be one without a gate; the sandbox is the other side."""
    ways_out = (
        "httpx",
        "httpcore",
        "requests",
        "urllib3",
        "urllib.request",
        "http.client",
        "aiohttp",
        "smtplib",
    )
    # A witness is told the head of our log, and nothing else: what it answers is signed.
    assert outside(importing(*ways_out), "http/", "sandbox/", "evidence/witnesses/wire.py") == set()
    assert outside(importing("psycopg", "asyncpg", "psycopg2"), "pg/", "sandbox/") == set()
    # The index of the archive is a file of our own: it is asked, made, and read through.
    index = ("archive/asking.py", "archive/index.py", "archive/schema.py")
    assert outside(calling("execute"), "pg/", "sandbox/", *index) == set()
    assert outside(calling("executemany") | calling("copy_expert"), "sandbox/", "archive/index.py") == set()


def test_sockets_are_opened_in_few_places_none_of_which_writes_to_a_vendor() -> None:
    """Certificates are read, names asked, kernels forked, two servers listen; the rest is http and pg.

    A drill only sees whether the app that it has started on this machine listens.
    """
    allowed = ("http/", "pg/", "sandbox/", "site.py", "dns.py", "keys/own.py", "kernels/",
               "backup/instance.py", "evidence/witnesses/serving.py", "web/server.py")  # fmt: skip
    assert outside(importing("socket"), *allowed) == set()


def test_programs_are_started_without_a_shell_and_by_few() -> None:
    """A command line is a way out too: git, doppler (reading one secret), ssh-keygen, the runner itself.

    A drill starts the app by the command that the system's file names, against what it has restored.
    """
    allowed = (
        "backup/tools.py",
        "backup/instance.py",
        "backup/keeper.py",
        "backup/vanishing.py",
        "doctor/machine.py",
        "config/secret.py",
        "runner/",
        "sandbox/",
        "keys/",
        "cli/",
        "schedule.py",
        "kernels/",
        "git.py",
    )
    assert outside(importing("subprocess"), *allowed) == set()
    assert calling("system") | calling("popen") == set()
    for path, node in nodes():
        assert not (isinstance(node, ast.keyword) and node.arg == "shell"), path
