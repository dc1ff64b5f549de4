"""Names of tables go into a statement as names, whatever they are made of; commands go alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from opslib.acts import Opening, Statement
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import ParameterError, Refused
from opslib.pg import Database, relations, sql
from opslib.sandbox.databases import Databases

SYSTEM = "your-app"
STRANGE = (
    "Weird Name", "per % cent %s", 'quo"te', "brace {x}", "semi; drop table notes; --", "o'brien", "größe",
)  # fmt: skip
_BOUNDS = (
    "default_transaction_read_only", "statement_timeout", "lock_timeout", "max_parallel_workers_per_gather",
)  # fmt: skip
HEADER = """-- title: For a test
-- kind: {kind}
-- returns: {returns}
-- params: {params}
-- needs: nothing
-- cost: none
-- lock: none
-- since: 14
-- pooler: {pooler}
"""


def statement(text: str, kind: str = "read", returns: str = "found int", params: str = "table name") -> str:
    """Return a packaged statement's file."""
    pooler = "yes" if kind == "read" else "no"
    return HEADER.format(kind=kind, returns=returns, params=params, pooler=pooler) + text


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    """A database with tables that are called as nobody should call them."""
    with closing(Databases([SYSTEM], scale=0.1)) as databases:
        with closing(psycopg.connect(databases.dsn(SYSTEM, "app"), autocommit=True)) as app:
            for name in STRANGE:
                table = psycopg.sql.Identifier("public", name)
                app.execute(psycopg.sql.SQL("create table {} (id int)").format(table))
        yield databases


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Statements of a test's own, by name."""
    texts: dict[str, str] = {}
    load = sql.load
    monkeypatch.setattr(
        sql, "load", lambda name: sql.parse(name, texts[name]) if name in texts else load(name)
    )
    return texts


def opened(server: Databases, role: str = "operator", *, pooled: bool = False) -> Database:
    """Return a connection as one of the roles."""
    door = Door("direct", Secret.literal("test", server.dsn(SYSTEM, role)), pooled)
    return Database([door], application_name="opslib/test/1")


def settings(database: Database) -> list[tuple[Any, ...]]:
    """Return the bounds that the database's session has now."""
    names = _BOUNDS
    asked = ", ".join(f"current_setting('{name}')" for name in names)
    assert database._session is not None
    return database._session.run(f"select {asked}", {})[1]


@pytest.mark.parametrize("name", STRANGE)
def test_any_name_that_a_table_can_have_finds_that_table(
    server: Databases, packaged: dict[str, str], name: str
) -> None:
    """Also beside a value that is bound, where a per cent sign has a meaning."""
    packaged["counted"] = statement(
        "select count(*)::int + %(plus)s as found from {table}", params="table name, plus int"
    )
    with closing(opened(server)) as database:
        assert database.table("counted", table=["public", name], plus=4)["found"].tolist() == [4]
        assert database.table("relation", schema="public", name=name)["kind"].tolist() == ["table"]


@pytest.mark.parametrize("value", ["", [], ["public", ""], "x" * 64, ["public", "nul\0"], [1]])
def test_what_can_be_no_name_is_refused(server: Databases, packaged: dict[str, str], value: Any) -> None:
    """Before anything is sent."""
    packaged["counted"] = statement("select count(*)::int as found from {table}")
    with closing(opened(server)) as database, pytest.raises(ParameterError, match="table"):
        database.table("counted", table=value)


def test_a_command_runs_outside_a_transaction_and_leaves_the_session_as_it_was(
    server: Databases, packaged: dict[str, str]
) -> None:
    """VACUUM would refuse to run in one; and the next question must not be free to write."""
    packaged["tidied"] = statement("vacuum (analyze) {table}", "command", "nothing")
    with closing(opened(server)) as database:
        database.table("server_facts")
        before = settings(database)
        answer = database.act(Opening(Statement("tidied", {"table": ["public", "Weird Name"]}), "key"))
        assert not answer and settings(database) == before
    with server.admin(SYSTEM) as admin:
        seen = admin.execute(
            "select last_vacuum is not null from pg_stat_all_tables where relname = 'Weird Name'"
        )
        assert seen.fetchall() == [(True,)]


def test_a_command_has_the_helpers_that_the_server_would_give_to_anybody(
    server: Databases, packaged: dict[str, str]
) -> None:
    """A large view is refreshed as fast as by hand; a question takes one process and no more."""
    asked = "select current_setting('max_parallel_workers_per_gather')::int as found"
    packaged["commanded"] = statement(asked, "command", params="nothing")
    packaged["asked"] = statement(asked, params="nothing")
    with closing(opened(server)) as database:
        assert database.table("asked")["found"][0] == 0
        assert database.act(Opening(Statement("commanded", {}), "key")) == [{"found": 2}]
        assert database.table("asked")["found"][0] == 0


@pytest.mark.parametrize("pooled", [False, True])
def test_a_question_that_reads_much_may_take_longer_and_the_next_one_may_not(
    server: Databases, packaged: dict[str, str], pooled: bool
) -> None:
    """Its header says how long; rows by the million are not counted in the time of a catalog."""
    asked = "select extract(epoch from current_setting('statement_timeout')::interval)::int as found"
    packaged["short"] = statement(asked, params="nothing")
    packaged["long"] = packaged["short"].replace("-- since: 14\n", "-- since: 14\n-- within: 300\n")
    with closing(opened(server, pooled=pooled)) as database:
        found = [int(database.table(name)["found"][0]) for name in ("short", "long", "short")]
    assert found == [15, 300, 15]


def test_a_command_that_fails_leaves_the_session_as_it_was(
    server: Databases, packaged: dict[str, str]
) -> None:
    """The error is that of the server."""
    packaged["tidied"] = statement("vacuum {table}", "command", "nothing")
    with closing(opened(server)) as database:
        database.table("server_facts")
        before = settings(database)
        with pytest.raises(Exception, match="nowhere"):
            database.act(Opening(Statement("tidied", {"table": "nowhere"}), "key"))
        assert settings(database) == before


def test_a_command_is_no_question_and_needs_a_door_of_its_own(
    server: Databases, packaged: dict[str, str]
) -> None:
    """Without an opening, or through a pooler, nothing is done."""
    packaged["tidied"] = statement("vacuum {table}", "command", "nothing")
    with closing(opened(server)) as database, pytest.raises(Refused, match="only the gate"):
        database.table("tidied", table="notes")
    with closing(opened(server, pooled=True)) as database, pytest.raises(Refused, match="pooler"):
        database.act(Opening(Statement("tidied", {"table": "notes"}), "key"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("orders", ("", "orders")), ("Orders", ("", "orders")), (" public . orders ", ("public", "orders")),
        ('"Weird Name"', ("", "Weird Name")), ('public."a.b"', ("public", "a.b")),
        ('"quo""te"', ("", 'quo"te')),
        ("Weird Name", ("", "Weird Name")), ("a.b.c", ("", "a.b.c")), ("", ("", "")),
        ("x; drop table y", ("", "x; drop table y")),
    ],
)  # fmt: skip
def test_a_name_is_read_as_sql_reads_it(text: str, found: tuple[str, str]) -> None:
    """Folded unless quoted; what is no name in SQL is taken as it stands, and finds nothing or just that."""
    assert relations.taken_apart(text) == found


def test_the_relation_that_a_person_means_is_found(server: Databases) -> None:
    """With what is needed to act on it."""
    with closing(opened(server, "monitor")) as database:
        users = relations.find(database, "tables", "Users")
        assert users.text == "public.users" and users.kind == "table" and not users.mine
        weird = relations.find(database, "tables", "Weird Name")
        assert weird.text == 'public."Weird Name"' and weird.parts == ["public", "Weird Name"]
    with closing(opened(server)) as database:
        assert relations.find(database, "tables", "users").mine


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere", "tables: there is no table or partitioned table 'nowhere'"),
        ("users_pkey", "public.users_pkey is: index"), ("auth.nothing", "there is no"),
        ("x'; drop table users; --", "there is no"), ("", "there is no"),
    ],
)  # fmt: skip
def test_a_name_that_means_no_table_is_refused(server: Databases, text: str, words: str) -> None:
    """The error says which parameter, and what there is instead."""
    with closing(opened(server, "monitor")) as database, pytest.raises(ParameterError) as refused:
        relations.find(database, "tables", text)
    assert words in refused.value.message


def test_a_name_in_two_schemas_must_be_said_with_one(server: Databases) -> None:
    """Never the one that happens to come first."""
    with closing(opened(server, "monitor")) as database, server.admin(SYSTEM) as admin:
        admin.execute("create schema if not exists other")
        admin.execute("create table if not exists other.users (id int)")
        try:
            with pytest.raises(ParameterError, match=r"other\.users, public\.users"):
                relations.find(database, "tables", "users")
            assert relations.find(database, "tables", "other.users").schema == "other"
        finally:
            admin.execute("drop schema other cascade")
