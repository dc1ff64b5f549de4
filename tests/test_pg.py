"""Getting into a real database, staying within bounds, and naming each way of not getting in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib import acts, config
from opslib.acts import Opening
from opslib.calls import Call
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import Forbidden, Malformed, ParameterError, Refused, SourceError, Unreachable
from opslib.pg import DOOR_COLUMNS, Database, acting, connect, failures, ladder, sql
from opslib.pg import session as pg_session
from opslib.pg.session import Session
from opslib.sandbox import control

from .servers import closed_port, raw

SYSTEM = "kulti"


@pytest.fixture
def addresses(sandbox: object) -> dict[str, str]:
    """Addresses of a real database, by role."""
    return dict(control.status()["databases"][SYSTEM])


@pytest.fixture
def calls() -> list[Call]:
    """What was recorded."""
    return []


@pytest.fixture
def opened(addresses: dict[str, str], calls: list[Call]) -> Iterator[Database]:
    """A database behind one direct door."""
    with closing(ask(addresses["monitor"], on_call=calls.append)) as database:
        yield database


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries."""
    monkeypatch.setattr(ladder, "_PAUSE_S", (0.0, 0.0))


def door(dsn: str, name: str = "direct", *, pooled: bool = False) -> Door:
    """Return a door to an address."""
    return Door(name, Secret.literal(f"test-{name}", dsn), pooled)


def ask(*dsns: str, **options: Any) -> Database:
    """Return a database behind doors to these addresses."""
    names = ("direct", "session", "pooler")
    doors = [door(dsn, name) for dsn, name in zip(dsns, names, strict=False)]
    return Database(doors, application_name="opslib/test/1", **options)


def local(port: int | str, **more: str) -> str:
    """Return an address on loopback."""
    return make_conninfo(host="127.0.0.1", port=str(port), user="opslib_monitor", dbname="x", **more)


def port_of(address: str) -> str:
    """Return the port of a URL."""
    return address.rpartition(":")[2]


def fails(database: Database) -> SourceError:
    """Return the error of asking."""
    with closing(database), pytest.raises(SourceError) as caught:
        database.table("server_facts")
    return caught.value


def test_facts_tell_what_the_role_may_see(opened: Database) -> None:
    """The plan of every procedure hangs on them."""
    facts = opened.facts
    assert facts["database"] == SYSTEM and facts["can_monitor"] and not facts["is_superuser"]
    assert facts["version"] >= 14
    assert opened.door == "direct"


def test_one_connection_serves_the_whole_run(opened: Database, calls: list[Call]) -> None:
    """A sick server must not pay for our questions with one slot each."""
    assert opened.table("server_facts")["pid"][0] == opened.table("server_facts")["pid"][0]
    opened.doors()
    assert [call.what for call in calls].count("connect") == 1
    assert all(call.ok and call.source == "pg:direct" and len(call.digest) == 64 for call in calls)


def test_a_lost_connection_is_opened_again_once(opened: Database, addresses: dict[str, str]) -> None:
    """A restart between two cells is no reason to begin anew."""
    pid = int(opened.table("server_facts")["pid"][0])
    with psycopg.connect(addresses["admin"], autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", [pid])
    assert int(opened.table("server_facts")["pid"][0]) != pid


def test_a_session_is_read_only_bounded_and_named(addresses: dict[str, str]) -> None:
    """The bounds that spare a sick server, as the server itself sees them."""
    name = "opslib/database-connections/" + "x" * 40
    connection, pooled = connect.open_door(door(addresses["monitor"]), name)
    with closing(Session(connection, "direct", pooled)) as session:
        asked = "select name, setting from pg_settings where name = any(%(names)s)"
        wanted = {
            "default_transaction_read_only": "on", "statement_timeout": "15000", "lock_timeout": "2000",
            "search_path": "pg_catalog", "TimeZone": "UTC", "idle_session_timeout": "0",
            "max_parallel_workers_per_gather": "0",
        }  # fmt: skip
        _, rows = session.run(asked, {"names": list(wanted)})
        assert dict(rows) == wanted
        _, shown = session.run("select current_setting('application_name')", {})
        assert shown[0][0] == name[:63]
        assert connection.autocommit and connection.prepare_threshold is None


@pytest.mark.parametrize("pooled", [False, True])
def test_a_write_is_refused_by_the_server(addresses: dict[str, str], pooled: bool) -> None:
    """Also for a role that could: as the table's owner, through either kind of door."""
    connection, _ = connect.open_door(door(addresses["app"]), "opslib/test/1")
    with (
        closing(Session(connection, "direct", pooled)) as session,
        pytest.raises(Malformed, match="read-only"),
    ):
        session.run("delete from public.credits", {})


def test_through_a_pooler_no_setting_outlives_its_transaction(addresses: dict[str, str]) -> None:
    """There the session belongs to the app: a time-out of ours would become a time-out of theirs."""
    connection, _ = connect.open_door(door(addresses["monitor"]), "opslib/test/1")
    asked = "select name, setting from pg_catalog.pg_settings where source = 'session' order by name"
    with closing(Session(connection, "pooler", True)) as session:
        before = connection.execute(asked).fetchall()
        _, inside = session.run("select current_setting('transaction_read_only')", {})
        assert inside == [("on",)]
        assert connection.execute(asked).fetchall() == before
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(
    "setting, statement, kind",
    [
        ("lock_timeout", "select count(*) from public.credits", "lock-timeout"),
        ("statement_timeout", "select pg_sleep(30)", "statement-timeout"),
    ],
)
def test_time_outs_are_told_apart(addresses: dict[str, str], setting: str, statement: str, kind: str) -> None:
    """A lock that is not given is another trouble than a slow answer."""
    connection, _ = connect.open_door(door(addresses["monitor"]), "opslib/test/1")
    with (
        psycopg.connect(addresses["admin"]) as admin,
        closing(Session(connection, "direct", False)) as session,
        pytest.raises(Unreachable) as caught,
    ):
        admin.execute("lock table public.credits in access exclusive mode")
        session.run("select set_config(%(name)s, '50ms', false)", {"name": setting})
        session.run(statement, {})
    assert caught.value.kind == kind


def test_an_answer_that_never_comes_ends_the_connection(
    addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that falls silent does not tell; the next question opens a new connection."""
    monkeypatch.setattr(pg_session, "ANSWER_TIMEOUT_S", 0.1)
    connection, _ = connect.open_door(door(addresses["monitor"]), "opslib/test/1")
    pid = connection.info.backend_pid
    with closing(Session(connection, "direct", False)) as session:
        with pytest.raises(Unreachable) as caught:
            session.run("select pg_sleep(30)", {})
        assert caught.value.kind == "timeout" and session.lost
    # The server has not noticed yet, and its old snapshot would disturb the tests to come.
    with psycopg.connect(addresses["admin"], autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", [pid])


def test_a_right_that_is_missing_is_forbidden(addresses: dict[str, str]) -> None:
    """Not unreachable: the hint is a grant, not a network."""
    connection, _ = connect.open_door(door(addresses["monitor"]), "opslib/test/1")
    with closing(Session(connection, "direct", False)) as session, pytest.raises(Forbidden) as caught:
        session.run("select pg_read_file('/etc/hostname')", {})
    assert caught.value.kind == "permission"


def test_a_closed_port_is_refused_at_once(calls: list[Call]) -> None:
    """Nothing that may pass, so there is one try, and the answer is remembered for the next question."""
    database = ask(local(closed_port()), on_call=calls.append)
    with closing(database):
        for _ in range(2):
            with pytest.raises(Unreachable) as caught:
                database.table("server_facts")
            assert caught.value.kind == "refused"
    assert len(calls) == 1 and not calls[0].ok


def test_a_server_that_never_answers_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing."""
    monkeypatch.setattr(connect, "CONNECT_TIMEOUT_S", 2)
    monkeypatch.setattr(ladder, "PATIENCE_S", 0.0)
    with raw(read_on) as url:
        assert fails(ask(local(port_of(url)))).kind == "timeout"


def read_on(connection: socket.socket) -> None:
    """Read until the other side gives up."""
    while connection.recv(4096):
        continue


def test_a_connection_that_is_cut_is_lost() -> None:
    """It takes the connection and hangs up."""
    with raw(lambda connection: None) as url:
        assert fails(ask(local(port_of(url)))).kind == "lost"


def test_another_kind_of_server_is_malformed() -> None:
    """A web server on the port is a wrong address, not a database that is down."""

    def web(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with raw(web) as url:
        error = fails(ask(local(port_of(url))))
    assert isinstance(error, Malformed) and error.kind == "malformed"


def test_a_server_without_tls_is_not_spoken_to_in_plain_text() -> None:
    """When TLS is asked for and refused, the password stays here."""
    heard: list[bytes] = []

    def refuse_tls(connection: socket.socket) -> None:
        heard.append(connection.recv(8))
        connection.sendall(b"N")
        heard.append(connection.recv(4096))

    with raw(refuse_tls) as url:
        error = fails(ask(local(port_of(url), sslmode="require", password="hunter2-hunter2")))
    assert error.kind == "tls"
    assert b"".join(heard[1:]) == b""


@pytest.mark.parametrize(
    "dsn, mode",
    [
        ("postgresql://u@db.example.com/x", "require"),
        ("postgresql://u@db.example.com/x?sslmode=prefer", "require"),
        ("postgresql://u@db.example.com/x?sslmode=allow", "require"),
        ("postgresql://u@db.example.com/x?sslmode=verify-full", "verify-full"),
        ("postgresql://u@10.0.0.7/x?sslmode=disable", "disable"),
        ("postgresql://u@127.0.0.1/x", None),
        ("postgresql://u@/x?host=/tmp", None),
    ],
)
def test_tls_is_demanded_wherever_the_network_could_listen(dsn: str, mode: str | None) -> None:
    """The library's own default would fall back to plain text without a word."""
    assert connect.parameters(door(dsn)).get("sslmode") == mode


@pytest.mark.parametrize(
    "declared, parameters, pooler",
    [
        (False, {"host": "db.abc.supabase.co", "port": "5432"}, False),
        (False, {"host": "aws-0.pooler.supabase.com", "port": "5432"}, False),
        (False, {"host": "aws-0.pooler.supabase.com", "port": "6543"}, True),
        (False, {"host": "ep-cool-name-pooler.eu-central-1.aws.neon.tech"}, True),
        (True, {"host": "127.0.0.1"}, True),
    ],
)
def test_a_transaction_pooler_is_known_by_its_address(
    declared: bool, parameters: dict[str, str], pooler: bool
) -> None:
    """A door declared as direct by mistake must not leak settings into the app's sessions."""
    assert connect.is_pooler(declared, parameters) is pooler


def test_a_wrong_password_is_forbidden_and_not_repeated(addresses: dict[str, str], calls: list[Call]) -> None:
    """Trying again would lock accounts, and the message must not carry what was tried."""
    error = fails(ask(make_conninfo(addresses["monitor"], password="wrong-wrong"), on_call=calls.append))
    assert isinstance(error, Forbidden) and error.kind == "authentication"
    assert "wrong-wrong" not in error.text() and len(calls) == 1


@pytest.mark.parametrize(
    "dsn",
    [
        "hunter2-hunter2",
        "postgresql://u@h/x?hunter2=1",
        "postgresql://u:hunter2/rest@h/x",
        "postgresql://u:first@hunter2@h/x",
    ],
)
def test_an_address_that_is_none_is_named_without_its_text(dsn: str) -> None:
    """It may be a password that was put into the wrong variable."""
    error = fails(ask(dsn))
    assert error.kind == "address" and "hunter2" not in error.text()


def test_a_missing_secret_shuts_its_own_door_only(
    addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next door is tried."""
    monkeypatch.delenv("OPSLIB_TEST_NOWHERE", raising=False)
    first = Door("direct", Secret.parse("env:OPSLIB_TEST_NOWHERE"), False)
    doors = [first, door(addresses["monitor"], "session")]
    with closing(Database(doors, application_name="opslib/test/1")) as database:
        assert len(database.table("server_facts")) == 1
        assert database.door == "session"
        tried = database.doors()
    assert list(tried.columns) == list(DOOR_COLUMNS)
    assert list(tried["reachable"]) == [False, True] and list(tried["kind"]) == ["secret", ""]


def test_a_long_name_is_cut_between_two_letters() -> None:
    """PostgreSQL keeps 63 bytes; half a letter would be refused."""
    assert connect.cut("é" * 40) == "é" * 31


def test_no_door_at_all_is_said() -> None:
    """Nothing to try is not the same as refused."""
    assert fails(ask()).kind == "no-door"


def test_a_database_that_does_not_exist_is_named(addresses: dict[str, str]) -> None:
    """A typing error in the address, told as such."""
    assert fails(ask(make_conninfo(addresses["monitor"], dbname="nowhere"))).kind == "no-database"


def test_a_full_server_is_tried_again_and_named(addresses: dict[str, str], calls: list[Call]) -> None:
    """The app is refused; the monitor's reserved slot still opens."""
    control.break_("connections-exhausted-idle", SYSTEM)
    error = fails(ask(addresses["app"], on_call=calls.append))
    assert error.kind == "slots-exhausted" and len(calls) == ladder.ROUNDS
    with closing(ask(addresses["app"], addresses["monitor"])) as database:
        if database.doors()["reachable"].any():
            headroom = database.table("connections_headroom").iloc[0]
            assert database.door == "session" and headroom["used"] >= headroom["usable"]


def test_parameters_must_be_those_of_the_header(opened: Database) -> None:
    """A missing one is a mistake of the notebook, so it is not turned into `unknown`."""
    with pytest.raises(ParameterError, match="rows"):
        opened.table("sessions")


@pytest.mark.parametrize(
    "text, kind",
    [
        ("FATAL:  sorry, too many clients already", "slots-exhausted"),
        ("FATAL:  remaining connection slots are reserved for roles with …", "slots-exhausted"),
        ('FATAL:  too many connections for role "app"', "role-limit"),
        ('FATAL:  too many connections for database "x"', "database-limit"),
        ("FATAL:  no more connections allowed (max_client_conn)", "pool-exhausted"),
        ("FATAL:  Max client connections reached", "pool-exhausted"),
        ("query_wait_timeout", "pool-exhausted"),
        ("FATAL:  the database system is starting up", "starting-up"),
        ("FATAL:  the database system is shutting down", "shutting-down"),
        ("FATAL:  Tenant or user not found", "authentication"),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "u", SSL off', "authentication"),
        ('could not translate host name "h" to address: Name or service not known', "dns"),
        ("[Errno -2] Name or service not known", "dns"),
        ("server does not support SSL, but SSL was required", "tls"),
        ("SSL error: certificate verify failed", "tls"),
        ("connection timeout expired", "timeout"),
        ("Verbindung fehlgeschlagen", "unreachable"),
    ],
)  # fmt: skip
def test_each_message_gets_its_name(text: str, kind: str) -> None:
    """The texts of libpq, PostgreSQL, PgBouncer and Supavisor."""
    assert failures.classify(text, "door direct").kind == kind


RAISE_CREDIT = """-- title: Adds to one balance, if it is what was seen
-- kind: write
-- returns: user_id text, balance int
-- params: user text, seen int, more int, at time
-- needs: update on public.credits
-- cost: one row
-- lock: one row of public.credits
-- since: 14
-- pooler: no
update public.credits
set balance = balance + %(more)s::int
where user_id = %(user)s::uuid and balance = %(seen)s::int and %(at)s::timestamptz < now()
returning user_id::text, balance::int
"""


@pytest.fixture
def operator(sandbox: object, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The operator's way into a real database, with one packaged statement more."""
    known = sql.load
    monkeypatch.setattr(
        sql, "load", lambda name: sql.parse(name, RAISE_CREDIT) if name == "raise_credit" else known(name)
    )
    with closing(ask(operator_address(), on_call=calls.append)) as database:
        yield database


def operator_address() -> str:
    """Return the address by which the operator goes in."""
    operator = config.load_system(SYSTEM).environment("sandbox").operator
    assert operator is not None
    return operator.dsn.reveal()


@pytest.fixture
def credit(addresses: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One row of a real table, as parameters; it is put back afterwards."""
    with psycopg.connect(addresses["admin"], autocommit=True) as admin:
        row = admin.execute("select user_id::text, balance from public.credits order by 1 limit 1").fetchone()
        assert row
        yield {"user": row[0], "seen": row[1], "more": 5, "at": "2020-01-01T00:00:00.123456Z"}
        admin.execute("update public.credits set balance = %s where user_id = %s", [row[1], row[0]])


def opening(params: dict[str, Any], name: str = "raise_credit") -> Opening:
    """Return a leave such as the gate gives."""
    return Opening(acts.Statement(name, params), "key-1")


def balance(addresses: dict[str, str], credit: dict[str, Any]) -> int:
    """Return what is in the table now."""
    with psycopg.connect(addresses["admin"]) as admin:
        asked = "select balance from public.credits where user_id = %s"
        row = admin.execute(asked, [credit["user"]]).fetchone()
    assert row
    return int(row[0])


def test_an_act_does_what_the_opening_says_once(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any], calls: list[Call]
) -> None:
    """The leave is spent, the row changed once, and the record holds no value."""
    leave = opening(credit)
    done = operator.act(leave)
    assert done[0]["balance"] == credit["seen"] + 5 == balance(addresses, credit)
    with pytest.raises(Refused, match="used already"):
        operator.act(leave)
    assert balance(addresses, credit) == credit["seen"] + 5
    told = calls[-1]
    assert (told.source, told.what, told.rows, told.ok) == ("pg:direct", "raise_credit", 1, True)
    assert credit["user"] not in repr(calls)
    operator.act(opening({**credit, "seen": 0}))
    assert calls[-1].digest != told.digest and calls[-1].rows == 0


def test_before_and_after_an_act_the_session_only_reads(operator: Database, credit: dict[str, Any]) -> None:
    """The leave is for one statement, not for the session."""
    operator.act(opening(credit))
    session = operator._session
    assert session is not None
    with pytest.raises(Malformed, match="read-only"):
        session.run("delete from public.credits", {})


@pytest.mark.parametrize(
    "change, error",
    [
        ({"more": True}, "more must be int"),
        ({"more": "5"}, "more must be int"),
        ({"at": "2020-01-01T00:00:00"}, "with its zone"),
        ({"at": "now"}, "with its zone"),
        ({"table": "users"}, "takes the parameters"),
    ],
)
def test_an_act_with_other_values_is_not_sent(
    operator: Database, credit: dict[str, Any], calls: list[Call], change: dict[str, Any], error: str
) -> None:
    """What the header does not ask for never reaches the server."""
    with pytest.raises(ParameterError, match=error):
        operator.act(opening({**credit, **change}))
    assert calls == []


@pytest.mark.parametrize("name", ["sessions", "advisory_lock"])
def test_only_a_statement_that_writes_is_an_act(operator: Database, calls: list[Call], name: str) -> None:
    """A plan cannot lock, and has no need to look."""
    with pytest.raises(Refused, match="no plan can ask"):
        operator.act(opening({}, name))
    with pytest.raises(Refused, match="nothing that a database"):
        operator.act(Opening(acts.Request("vercel", "POST", "/v1"), "key"))
    assert calls == []


@pytest.mark.parametrize("name", ["raise_credit", "advisory_lock", "advisory_unlock"])
def test_a_look_runs_nothing_that_writes_or_locks(operator: Database, calls: list[Call], name: str) -> None:
    """Not even by the operator's door."""
    with pytest.raises(Refused, match="only the gate"):
        operator.table(name)
    assert calls == []


def test_nothing_is_changed_through_a_pooler(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any]
) -> None:
    """There the session is other people's: its pid and its lock mean nothing. The leave stays good."""
    leave = opening(credit)
    pooled = Database([door(operator_address(), pooled=True)], application_name="opslib/test/1")
    with closing(pooled), pytest.raises(Refused, match="pooler"):
        pooled.act(leave)
    with closing(pooled), pytest.raises(Refused, match="pooler"), pooled.lock("kulti"):
        pytest.fail("no lock can be had there")
    operator.act(leave)
    assert balance(addresses, credit) == credit["seen"] + 5


def test_an_act_whose_connection_is_lost_is_not_repeated(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any], calls: list[Call]
) -> None:
    """Nobody knows then whether it took place, so whoever asked must look."""
    pid = int(operator.table("server_facts")["pid"][0])
    with psycopg.connect(addresses["admin"], autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(Unreachable, match="not known") as caught:
        operator.act(opening(credit))
    assert caught.value.kind == "lost" and not calls[-1].ok
    assert [call.what for call in calls].count("raise_credit") == 1
    assert balance(addresses, credit) == credit["seen"]


def test_an_act_waits_for_a_lock_no_longer_than_a_look(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any]
) -> None:
    """It is rolled back whole, and the connection is good for the next question."""
    session = operator.facts and operator._session
    assert session
    session.run("select set_config('lock_timeout', '50ms', false)", {})
    with psycopg.connect(addresses["admin"]) as admin:
        admin.execute("select from public.credits where user_id = %s for update", [credit["user"]])
        with pytest.raises(Unreachable) as caught:
            operator.act(opening(credit))
    assert caught.value.kind == "lock-timeout"
    assert balance(addresses, credit) == credit["seen"] and operator._session is session


def test_an_answer_that_was_not_promised_undoes_the_change(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement with a wrong header must not change something and then report a failure."""
    wrong = sql.parse("raise_credit", RAISE_CREDIT.replace("balance int", "amount int"))
    monkeypatch.setattr(sql, "load", lambda name: wrong)
    with pytest.raises(Malformed, match="promised"):
        operator.act(opening(credit))
    assert balance(addresses, credit) == credit["seen"]


def test_a_role_that_may_not_is_forbidden(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any]
) -> None:
    """The role that looks can change nothing, also with a leave."""
    with closing(ask(addresses["monitor"])) as monitor, pytest.raises(Forbidden) as caught:
        monitor.act(opening(credit))
    assert caught.value.kind == "permission"


def test_two_people_never_hold_one_lock(operator: Database) -> None:
    """The second is told who has it; once it is given back, the second gets it."""
    with closing(ask(operator_address())) as other:
        with operator.lock("kulti/sandbox"):
            with pytest.raises(Refused) as caught, other.lock("kulti/sandbox"):
                pytest.fail("the lock was given twice")
            holder = operator.facts
            for part in ("opslib/test/1", f"pid {holder['pid']}", "opslib_operator", "connected since 20"):
                assert part in caught.value.message
            with pytest.raises(Refused, match="this very run"), operator.lock("kulti/sandbox"):
                pytest.fail("the lock was given twice")
            with other.lock("kulti/production"):
                assert other.door
        with other.lock("kulti/sandbox"):
            assert other.door


def test_a_lock_that_was_lost_with_its_connection_stops_the_next_act(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any]
) -> None:
    """A new connection would act without holding anything."""
    leave = opening(credit)
    with operator.lock("kulti/sandbox"):
        pid = int(operator.table("server_facts")["pid"][0])
        with psycopg.connect(addresses["admin"], autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s, 5000)", [pid])
        assert int(operator.table("server_facts")["pid"][0]) != pid
        with pytest.raises(Refused, match="was lost"):
            operator.act(leave)
    assert balance(addresses, credit) == credit["seen"]
    with operator.lock("kulti/sandbox"):
        operator.act(leave)
    assert balance(addresses, credit) == credit["seen"] + 5


def test_a_pooler_that_nobody_declared_is_noticed_before_an_act_under_a_lock(
    operator: Database, addresses: dict[str, str], credit: dict[str, Any], calls: list[Call]
) -> None:
    """It lends another process for each transaction, and that one holds no lock."""
    with operator.lock("kulti/sandbox"):
        held = operator._locks["kulti/sandbox"]
        operator._locks["kulti/sandbox"] = replace(held, backend=held.backend + 1)
        with pytest.raises(Refused, match="another server process"):
            operator.act(opening(credit))
    assert balance(addresses, credit) == credit["seen"]
    assert [(call.what, call.ok) for call in calls if call.what == "raise_credit"] == [
        ("raise_credit", False)
    ]


def test_the_key_of_a_lock_is_the_same_everywhere() -> None:
    """Two machines, two versions: one name is one key."""
    assert acting.lock_key("kulti/production") == acting.lock_key("kulti/production")
    assert acting.lock_key("kulti/production") != acting.lock_key("kulti/sandbox")
    assert -(2**63) <= acting.lock_key("x") < 2**63
    assert acting.lock_key("kulti/production") == 2275262705250360811
