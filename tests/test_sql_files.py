"""Each packaged statement keeps its header's word, on every server at hand and with a plain role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import Forbidden, ProcedureError, UnknownName
from opslib.pg import Database, sql
from opslib.sandbox.databases import Databases
from tests import majors, statements
from tests.statements import ENTRIES, EXTENDED, SYSTEM, values

FOLDER = Path(sql.__file__).parents[1] / "sql"
PLAIN = "plain_monitor"
# Some statements read tables of the app itself, which its owner must have opened to opslib's role.
OWN_TABLES = ("public.feature_flags", "public.retention_policies", "public.entries")
# Types of the wire protocol, by the name that headers use.
OIDS = {
    "int": {20, 21, 23}, "float": {700, 701, 1700}, "bool": {16}, "text": {19, 25, 1043}, "time": {1184},
    "seconds": {1186}, "list": {1005, 1007, 1009, 1016}, "json": {114, 3802},
}  # fmt: skip
READS = tuple(name for name in statements.READS if name not in EXTENDED)
CHANGES = re.compile(r"(insert|update|delete|with|select)\s", re.IGNORECASE)
COMMANDS = re.compile(
    r"(vacuum|analyze|reindex|refresh|(create|drop) (unique )?index concurrently)\b", re.IGNORECASE
)
WRITES = re.compile(
    r"\b(insert|update|delete|merge|truncate|alter|create|drop|grant|copy|vacuum|analyze|call|do|lock"
    r"|nextval|setval|set_config|pg_terminate_backend|pg_cancel_backend|pg_advisory\w*|dblink\w*)\s*[(\s]",
    re.IGNORECASE,
)


@pytest.fixture(scope="module", params=majors.folders())
def servers(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """A server of the version that is packaged, and one of each other that the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[request.param])
        with closing(Databases([SYSTEM], scale=0.1)) as databases:
            with databases.admin(SYSTEM) as admin:
                admin.execute(ENTRIES)
                admin.execute(f"create role {PLAIN} login password 'plain' in role pg_monitor".encode())
                admin.execute(f"grant select on {', '.join(OWN_TABLES)} to {PLAIN}".encode())
                checks = "grant execute on function extensions.bt_index_check(regclass) to"
                admin.execute(f"{checks} {PLAIN}".encode())
            yield databases


@pytest.fixture(params=["monitor", "plain", "pooled"])
def database(servers: Databases, request: pytest.FixtureRequest) -> Iterator[Database]:
    """As the role that opslib asks for, as a bare member of pg_monitor, and by a pooler's rules."""
    dsn = servers.dsn(SYSTEM, "monitor")
    if request.param == "plain":
        dsn = psycopg.conninfo.make_conninfo(dsn, user=PLAIN, password="plain")
    door = Door("direct", Secret.literal("test", dsn), request.param == "pooled")
    with closing(Database([door], application_name="opslib/test/1")) as found:
        yield found


def bare(name: str) -> str:
    """Return the text of a statement without remarks and literals."""
    return re.sub(r"--.*|'[^']*'", "", sql.load(name).text)


@pytest.mark.parametrize("name", sql.names())
def test_each_header_can_be_read_and_its_lines_are_short(name: str) -> None:
    """The header is what frames, docs and checks rely on."""
    statement = sql.load(name)
    assert statement.title and statement.needs and statement.cost and statement.lock
    assert statement.since == 14
    assert len({column.name for column in statement.returns}) == len(statement.returns)
    assert statement.returns or statement.kind == sql.COMMAND
    assert all(len(line) <= 110 for line in (FOLDER / f"{name}.sql").read_text().splitlines())


@pytest.mark.parametrize("name", READS + EXTENDED)
def test_each_statement_is_one_plain_read(name: str) -> None:
    """One SELECT, bound parameters only, nothing that changes anything by a function's side effect."""
    text = bare(name)
    assert re.match(r"(select|with)\s", text.strip())
    assert not WRITES.search(text)


@pytest.mark.parametrize("name", sql.names())
def test_each_statement_is_one_statement_with_bound_parameters_only(name: str) -> None:
    """Also one that changes something: what is in the plan is all that is done."""
    text = bare(name)
    statement = sql.load(name)
    assert (COMMANDS if statement.kind == sql.COMMAND else CHANGES).match(text.strip())
    assert ";" not in text
    named = re.findall(r"(?<!{){(\w+)}", text) if statement.names else []
    assert set(named) == set(statement.names)
    assert {*re.findall(r"%\((\w+)\)s", text), *named} == {*statement.params, *statement.step}
    assert "%" not in re.sub(r"%\(\w+\)s", "", sql.load(name).text)


@pytest.mark.parametrize("name", sorted(set(sql.names()) - set(READS) - set(EXTENDED)))
def test_a_statement_that_changes_something_never_goes_through_a_pooler(name: str) -> None:
    """There a setting, a lock and the session itself belong to somebody else."""
    assert not sql.load(name).pooler


@pytest.mark.parametrize("name", READS)
def test_each_statement_returns_what_its_header_promises(database: Database, name: str) -> None:
    """`table` compares the names of the columns itself and converts each value."""
    statement = sql.load(name)
    if statement.all_rows and not database.facts["bypasses_rls"]:
        with pytest.raises(Forbidden, match="row-level security"):
            database.table(name, **values(statement))
        return
    frame = database.table(name, **values(statement))
    assert list(frame.columns) == [column.name for column in statement.returns]


@pytest.mark.parametrize("name", READS)
def test_the_types_that_the_server_gives_are_those_of_the_header(servers: Databases, name: str) -> None:
    """Also for an answer without rows, where no conversion would notice."""
    statement = sql.load(name)
    with psycopg.connect(servers.dsn(SYSTEM, "monitor"), autocommit=True) as connection:
        text, bound = statement.filled(connection.info.server_version // 10000, values(statement))
        cursor = connection.execute(text.encode(), bound)
        given = {column.name: column.type_code for column in cursor.description or ()}
    for column in statement.returns:
        assert given[column.name] in OIDS[column.type], (column, given[column.name])


def test_a_line_is_kept_only_for_its_versions() -> None:
    """One file serves all versions and is still read from top to bottom."""
    source = "\n".join(
        [
            "-- title: t", "-- kind: read", "-- returns: a int,", "--   b text", "-- params: nothing",
            "-- needs: nothing", "-- cost: none", "-- lock: none", "-- since: 14", "-- pooler: yes",
            "-- a remark of the statement", "select 1 as a,", "  new as b -- pg>=17", "  old as b -- pg<17",
        ]
    )  # fmt: skip
    statement = sql.parse("t", source)
    assert [column.name for column in statement.returns] == ["a", "b"]
    assert "new as b" in statement.text_for(17) and "old" not in statement.text_for(17)
    assert "old as b" in statement.text_for(16) and "new" not in statement.text_for(16)
    assert "pg>=" not in statement.text_for(17)


@pytest.mark.parametrize(
    "line, replaced, named",
    [
        ("-- kind: read", "-- kind: both", "kind"),
        ("-- returns: a int", "-- returns: a number", "returns"),
        ("-- returns: a int", "-- returns: a", "returns"),
        ("-- cost: none", "", "cost"),
        ("-- cost: none", "-- cost: none\n-- price: none", "price"),
    ],
)
def test_a_wrong_header_is_named(line: str, replaced: str, named: str) -> None:
    """A promise that nobody can read would be no promise."""
    header = (
        "-- title: t\n-- kind: read\n-- returns: a int\n-- params: nothing\n-- needs: nothing\n"
        "-- cost: none\n-- lock: none\n-- since: 14\n-- pooler: yes\nselect 1 as a\n"
    )
    sql.parse("t", header)
    with pytest.raises(ProcedureError, match=named):
        sql.parse("t", header.replace(line + "\n", replaced + "\n" if replaced else ""))


def test_an_unknown_name_gets_a_suggestion() -> None:
    """A typing error at night should cost one glance."""
    with pytest.raises(UnknownName) as caught:
        sql.load("conections_headroom")
    assert "connections_headroom" in caught.value.hint


def test_the_packaged_statements_are_installed_with_the_package() -> None:
    """What lies in the folder is what can be loaded."""
    assert set(sql.names()) == {file.stem for file in FOLDER.iterdir()}
