"""The doctor tries what is named, changes nothing, and says what is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from opslib import config, doctor
from opslib.config import overlay
from opslib.doctor import target
from opslib.doctor.report import Line, worst
from opslib.sandbox import control
from opslib.verdict import Status
from tests import servers, shop
from tests.conftest import Rehearsal
from tests.shop import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own."""
    monkeypatch.chdir(tmp_path)
    return shop.build(tmp_path, monkeypatch)


def by_what(report: doctor.Report) -> dict[str, Line]:
    """Return the lines by what was tried."""
    return {line.what: line for line in report.lines}


def rewrite(project: Project, **environment: str) -> None:
    """Write shop.yml with other addresses."""
    lines = "".join(f"    {key}: {value}\n" for key, value in environment.items())
    text = f"title: Shop\nowner: on-call\nenvironments:\n  production:\n    production: true\n{lines}"
    path = project.root / "parameters" / "systems" / "shop.yml"
    path.write_text(text + "health:\n  - {name: front, path: /}\n", encoding="utf-8")


def test_a_machine_that_can_keep_records_is_told_so(project: Project) -> None:
    """Places to write, a kernel, git and the sandbox's programs are named one by one."""
    found = by_what(doctor.examine(project.archive, None, "production"))
    assert {found[name].status for name in ("archive", "own files", "kernel", "Python")} == {Status.OK}
    assert found["parameters/systems/shop.yml"].status is Status.OK
    assert not project.archive.exists()


def test_a_kernel_is_found_without_a_python_on_the_path(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called by its full name from cron, the interpreter is not on the path, and runs work all the same."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert by_what(doctor.examine(project.archive, None, "production"))["kernel"].status is Status.OK


def test_an_archive_that_cannot_be_written_is_critical(project: Project) -> None:
    """Found now, and not when the first run is over."""
    blocked = project.root / "parameters" / "systems" / "shop.yml" / "archive"
    line = by_what(doctor.examine(blocked, None, "production"))["archive"]
    assert line.status is Status.CRITICAL and "OPSLIB_ARCHIVE" in line.hint


def test_a_wrong_file_is_one_line_among_the_others(project: Project) -> None:
    """The rest is still tried."""
    (project.root / "parameters" / "systems" / "other.yml").write_text("titel: x\n", encoding="utf-8")
    report = doctor.examine(project.archive, None, "production")
    assert by_what(report)["parameters/systems/other.yml"].status is Status.CRITICAL
    assert "titel" in by_what(report)["parameters/systems/other.yml"].seen
    assert by_what(report)["parameters/systems/shop.yml"].status is Status.OK
    assert report.status is Status.CRITICAL


@pytest.mark.parametrize(
    "runs, says",
    [
        ("procedure: too-worm", "there is no procedure too-worm; did you mean too-warm?"),
        ("procedure: too-warm\n    parameters: {degree: 3}", "there is no parameter degree"),
        ("procedure: too-warm\n    parameters: {degrees: hot}", "'hot' is not a whole number"),
    ],
)
def test_a_slot_that_could_not_be_started_is_found_before_its_hour(
    project: Project, runs: str, says: str
) -> None:
    """At six in the morning nobody looks; the doctor must not call such a schedule well."""
    where = "system: shop\n    environment: production"
    project.schedule(f'slots:\n  - id: early\n    {runs}\n    {where}\n    cron: "0 6 * * *"\n    owner: x\n')
    found = [line for line in doctor.examine(project.archive, None, "production").lines if says in line.seen]
    assert [line.status for line in found] == [Status.CRITICAL]
    assert "parameters/schedule.yml" in found[0].what


def test_a_site_that_answers_is_ok_and_what_is_not_named_is_left_out(project: Project) -> None:
    """A procedure without its needs is skipped with the reason, and that is no fault."""
    with servers.serving(servers.reply(200, b"hello")) as url:
        rewrite(project, base_url=url)
        report = doctor.examine(project.archive, "shop", "production")
    found = by_what(report)
    assert found[f"{url}/"].status is Status.OK
    assert found["database"].status is Status.SKIPPED
    assert "names no database" in report.left_out["needs-database"]
    assert "too-warm" not in report.left_out


def test_a_site_that_does_not_answer_is_unknown(project: Project) -> None:
    """Either the address is wrong or the site is down: both must be known before the night."""
    url = f"http://127.0.0.1:{servers.closed_port()}"
    rewrite(project, base_url=url)
    line = by_what(doctor.examine(project.archive, "shop", "production"))[f"{url}/"]
    assert line.status is Status.UNKNOWN


def test_a_site_that_answers_with_an_error_is_a_warning(project: Project) -> None:
    """The address is right; what is wrong there is another procedure's question."""
    with servers.serving(servers.reply(500, b"no")) as url:
        rewrite(project, base_url=url)
        line = by_what(doctor.examine(project.archive, "shop", "production"))[f"{url}/"]
    assert line.status is Status.WARNING and "health-check" in line.hint


def test_a_secret_that_is_not_there_is_named_by_its_reference(project: Project) -> None:
    """The reference is what a person can set; the value is never shown."""
    rewrite(project, database="{direct: env:SHOP_URL_THAT_IS_NOT_SET}")
    line = by_what(doctor.examine(project.archive, "shop", "production"))["door direct"]
    assert line.status is Status.UNKNOWN
    assert line.hint == "set env:SHOP_URL_THAT_IS_NOT_SET"


def test_the_role_behind_a_door_is_looked_at(
    project: Project, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitoring role is enough; an administrator's is too much; an application's too little."""
    databases = control.status()["databases"]["kulti"]
    rewrite(project, database="{direct: env:SHOP_URL}")
    seen = {}
    for role in ("monitor", "admin", "app"):
        monkeypatch.setenv("SHOP_URL", databases[role])
        seen[role] = by_what(doctor.examine(project.archive, "shop", "production"))
    assert [seen["monitor"][what].status for what in ("door direct", "role", "pg_monitor")] == [Status.OK] * 3
    assert seen["admin"]["role"].status is Status.WARNING
    assert seen["app"]["pg_monitor"].status is Status.WARNING
    assert "opslib doctor --sql" in seen["app"]["pg_monitor"].hint


def test_a_wrong_password_is_told_without_showing_it(
    project: Project, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was tried is named, what was secret is not."""
    url = control.status()["databases"]["kulti"]["monitor"]
    password = url.split(":")[2].split("@")[0]
    monkeypatch.setenv("SHOP_URL", url.replace(password, "wr0ng-passw0rd"))
    rewrite(project, database="{direct: env:SHOP_URL}")
    report = doctor.examine(project.archive, "shop", "production")
    assert by_what(report)["door direct"].status is Status.UNKNOWN
    assert "wr0ng-passw0rd" not in json.dumps(report.to_dict())


def test_one_open_door_makes_a_closed_one_a_warning(
    project: Project, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is still possible to look."""
    monkeypatch.setenv("SHOP_URL", control.status()["databases"]["kulti"]["monitor"])
    rewrite(project, database="{direct: env:SHOP_URL, pooler: env:SHOP_URL_THAT_IS_NOT_SET}")
    found = by_what(doctor.examine(project.archive, "shop", "production"))
    assert (found["door direct"].status, found["door pooler"].status) == (Status.OK, Status.WARNING)


def test_the_sandbox_is_usable_in_every_part(sandbox: Rehearsal) -> None:
    """Site, database and status pages of a rehearsed system all answer."""
    lines = list(target.lines(config.load_system("kulti").environment("sandbox")))
    tried = [line for line in lines if line.part in ("site", "database")]
    assert len(tried) > 5
    assert {line.status for line in tried} <= {Status.OK, Status.SKIPPED}


def test_without_an_operator_it_says_what_cannot_be_done_and_how_to_get_one(
    project: Project, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is broken: looking needs none."""
    monkeypatch.setenv("SHOP_URL", control.status()["databases"]["kulti"]["monitor"])
    for database in ("{direct: env:SHOP_URL}", "{direct: env:SHOP_URL, operator: env:SHOP_OPERATOR_URL}"):
        rewrite(project, database=database)
        line = by_what(doctor.examine(project.archive, "shop", "production"))["door operator"]
        assert line.status is Status.SKIPPED
        assert "not applied" in line.seen and "doctor --sql" in line.hint


@pytest.mark.parametrize(
    "role, door, signal",
    [
        ("operator", Status.OK, Status.OK),
        ("monitor", Status.OK, Status.WARNING),
        ("admin", Status.WARNING, Status.OK),
    ],
)
def test_the_operators_door_is_tried_and_its_rights_are_told(
    project: Project,
    sandbox: Rehearsal,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    door: Status,
    signal: Status,
) -> None:
    """Too little is found now and not at night; too much is said as well."""
    state = overlay.state()
    assert state is not None
    addresses = {**control.status()["databases"]["kulti"], "operator": state.operators["kulti"]}
    monkeypatch.setenv("SHOP_URL", addresses["monitor"])
    monkeypatch.setenv("SHOP_OPERATOR_URL", addresses[role])
    rewrite(project, database="{direct: env:SHOP_URL, operator: env:SHOP_OPERATOR_URL}")
    found = by_what(doctor.examine(project.archive, "shop", "production"))
    assert (found["door operator"].status, found["pg_signal_backend"].status) == (door, signal)


def test_an_operators_door_that_is_shut_or_leads_through_a_pooler_is_a_warning(
    project: Project, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking still works; an act would be refused."""
    monitor = control.status()["databases"]["kulti"]["monitor"]
    monkeypatch.setenv("SHOP_URL", monitor)
    rewrite(project, database="{direct: env:SHOP_URL, operator: env:SHOP_OPERATOR_URL}")
    monkeypatch.setenv("SHOP_OPERATOR_URL", f"postgresql://u@127.0.0.1:{servers.closed_port()}/x")
    line = by_what(doctor.examine(project.archive, "shop", "production"))["door operator"]
    assert line.status is Status.WARNING and "refuse" in line.seen
    monkeypatch.setattr("opslib.pg.connect._POOLER_PORT", conninfo_to_dict(monitor)["port"])
    monkeypatch.setenv("SHOP_OPERATOR_URL", monitor)
    line = by_what(doctor.examine(project.archive, "shop", "production"))["door operator"]
    assert line.status is Status.WARNING and "pooler" in line.seen


def test_placeholders_of_contacts_are_shown(sandbox: Rehearsal) -> None:
    """At night a placeholder is nobody."""
    lines = target.lines(config.load_system("your-app").environment("sandbox"))
    shown = [line.seen for line in lines if line.part.startswith("people")]
    assert "[Add contact]" in shown


def test_the_statements_make_the_two_roles_on_a_real_server_and_can_be_run_again(sandbox: Rehearsal) -> None:
    """They hold no password, and give the first role what looking needs and no more."""
    statements = doctor.role_statements()
    assert "password '" not in statements.lower() and "\\password opslib_monitor" in statements
    admin = control.status()["databases"]["kulti"]["admin"]
    with psycopg.connect(admin) as connection:
        for role in ("opslib_monitor", "opslib_operator"):
            connection.execute(f"alter role {role} rename to {role}_before")
        connection.execute(statements)
        connection.execute(statements)
        asked = (
            "select rolname, rolconnlimit, pg_has_role(oid, 'pg_monitor', 'usage'),"
            " pg_has_role(oid, 'pg_signal_backend', 'usage'), rolsuper"
            " from pg_roles where rolname in ('opslib_monitor', 'opslib_operator') order by 1"
        )
        rows = connection.execute(asked).fetchall()
        connection.rollback()
    assert rows == [("opslib_monitor", 3, True, False, False), ("opslib_operator", 3, True, True, False)]


def test_skipped_lines_do_not_count() -> None:
    """What a system does not name is not missing."""
    assert worst([Status.SKIPPED, Status.OK]) is Status.OK
    assert worst([]) is Status.OK
    assert worst([Status.WARNING, Status.UNKNOWN]) is Status.UNKNOWN


def test_the_command_prints_the_statements_and_a_report(project: Project) -> None:
    """`--sql` goes into psql, `--json` into a program."""
    assert "create role opslib_monitor" in project.opslib("doctor", "--sql").stdout
    done = project.opslib("doctor", "--json", OPSLIB_ARCHIVE=os.fspath(project.archive))
    assert json.loads(done.stdout)["verdict"] in ("ok", "warning")
    assert done.returncode in (0, 1)
