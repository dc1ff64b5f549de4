"""What the server of a drill, or a target, lacks is never what a good backup is blamed for."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opslib.backup import comparing, locks, money, restoring, tools
from opslib.checks import drills, restores
from opslib.errors import SourceError
from opslib.pg.connect import parameters
from opslib.run.recovery import Picked, Seen
from opslib.sandbox import postgres, proving
from opslib.sandbox.account import Account
from opslib.sandbox.postgres import Ground
from opslib.verdict import Status
from tests import majors
from tests.drilled import drilled, judged, make, programs, server, taken

ALL = pytest.mark.parametrize("major", majors.folders())


@ALL
def test_a_database_with_tablespaces_comes_back_where_there_are_none(major: str, tmp_path: Path) -> None:
    """They are folders of the server that is lost."""
    with server(major) as door:
        place = Path(parameters(door)["host"]) / "fast"
        place.mkdir(mode=0o700)
        Account.for_servers().own(place)
        make(
            door, f"create tablespace fast location '{place}'",
            "create table t (id int primary key using index tablespace fast) tablespace fast",
            "create table p (id int) partition by range (id) tablespace fast", "insert into t values (1)",
        )  # fmt: skip
        assert judged(door, tmp_path, major) == []


MANY = (
    "select lo_create(0) from generate_series(1, 3000)",
    "do $$ begin for i in 1..100 loop"
    " execute format('create table t%s (id int primary key, name text)', i); end loop; end $$",
)
SMALL = {"max_connections": "20", "max_locks_per_transaction": "10"}


@ALL
def test_a_target_without_room_for_all_locks_is_refused_by_the_name_of_the_setting(
    major: str, tmp_path: Path
) -> None:
    """One transaction keeps a lock on all that it makes; without the look it breaks in the midst of it."""
    with server(major, *MANY) as door, server(major, **SMALL) as target:
        kept, backup = taken(door, tmp_path, major)
        assert 3000 + 400 <= locks.needed(backup.holds) < 3500
        place = restoring.examine(target, backup)
        assert re.search(r"max_locks_per_transaction from 10 to \d\d\d", restoring.reason(place, backup))
        (found,) = restores.target(Seen(place), Picked(backup))
        assert found.cause is restores.LOCKS and found.why == place.locks
        with programs(major), pytest.raises(SourceError, match="raise max_locks_per_transaction") as broken:
            restoring.restore(kept, backup, target)
        assert getattr(broken.value, "kind", "") in tools.NO_FAULT
        again = place.locks.rpartition("to ")[2].partition(",")[0]
    with server(major, **{**SMALL, "max_locks_per_transaction": again}) as target, programs(major):
        assert restoring.reason(restoring.examine(target, backup), backup) == ""
        restoring.restore(kept, backup, target)


def test_a_drill_has_room_for_the_locks_of_as_many_large_objects_as_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of a drill is made for the backup; where that does not help, the backup is not to blame."""
    with server(majors.PACKAGED, *MANY) as door:
        kept, backup = taken(door, tmp_path)
    monkeypatch.setattr(postgres, "SETTINGS", {**postgres.SETTINGS, **SMALL})
    made = drilled(kept, backup)
    assert (made.broke, made.differences) == (None, [])
    monkeypatch.setattr(locks, "_TO_SPARE", 0.1)
    monkeypatch.setattr(proving, "_FEWEST_LOCKS", 10)
    (found,) = drills.restored(drilled(kept, backup), Picked(backup))
    assert found.status is Status.UNKNOWN and "looking at the server: its server has room" in found.why
    monkeypatch.setattr(locks, "lacking", lambda view, holds: "")
    (found,) = drills.restored(drilled(kept, backup), Picked(backup))
    assert found.status is Status.UNKNOWN and "out of shared memory" in found.why


@ALL
def test_a_database_without_the_usual_language_comes_back_without_it(major: str, tmp_path: Path) -> None:
    """Each new database has it, and no dump takes it away."""
    with server(major, "drop extension plpgsql", "create table t (id int)") as door:
        assert judged(door, tmp_path, major) == []


def test_an_extension_that_this_machine_lacks_leaves_the_backup_unknown(tmp_path: Path) -> None:
    """The server that is to be restored into may have it."""
    with server(majors.PACKAGED, "create table t (id int)") as door:
        kept, backup = taken(door, tmp_path)
    more = {**backup.holds.extensions, "house_rules": "1.0"}
    backup = replace(backup, holds=replace(backup.holds, extensions=more))
    (found,) = drills.restored(drilled(kept, backup), Picked(backup))
    assert (found.status, found.cause) == (Status.UNKNOWN, restores.EXTENSION) and "house_rules" in found.why


# What can be made only by whom the dump says nothing of: a member of another role, or a superuser.
OWNED = (
    "create role app; create role readers; create role reporting; grant readers to reporting",
    "create table t (id int); alter table t owner to app; grant select on t to readers",
    "create materialized view mine as select * from t",
    "create materialized view theirs as select * from t; grant create on schema public to reporting;"
    " alter materialized view theirs owner to reporting",
    "create function f() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger e on ddl_command_end execute function f()",
    "create foreign data wrapper w; create publication p for all tables",
    # On Supabase, RDS and Cloud SQL `postgres` is no superuser, and nobody else's name.
    "create role postgres; alter schema public owner to postgres",
)


@ALL
def test_what_only_a_superuser_or_a_member_may_own_comes_back(major: str, tmp_path: Path) -> None:
    """Whoever has which attributes stands in no dump; the backup is not to blame for that."""
    owned = OWNED[:-1] if major == "14" else OWNED  # before 15 no dump says whose the schema public is
    with server(major, *owned, superuser="admin") as door:
        assert judged(door, tmp_path, major) == []


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A locale that writes 1.234,56 €, made for the test where the machine has none."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        words = ["localedef", "-i", "de_DE", "-f", "UTF-8", f"{made}/de_DE.UTF-8"]
        if (
            not shutil.which("localedef")
            or subprocess.run(words, check=False, capture_output=True).returncode
        ):
            pytest.skip("this machine cannot make a locale")
        known = Ground._environment.fget  # type: ignore[attr-defined]
        more = property(lambda self: {**known(self), "LOCPATH": made})
        monkeypatch.setattr(Ground, "_environment", more)
        yield "de_DE.UTF-8"


def test_amounts_are_read_back_as_they_were_written(tmp_path: Path, german: str) -> None:
    """A dump has them as text, with the signs of one locale; a target of another is told before it breaks."""
    made = (
        f"alter database shop set lc_monetary = '{german}'", "create table t (m money)",
        "insert into t values (1234.56::numeric::money)",
    )  # fmt: skip
    with server(majors.PACKAGED) as door:
        for statement in made:
            make(door, statement)
        kept, backup = taken(door, tmp_path)
        assert backup.holds.locale[money.MONETARY] == german
        make(door, "alter database shop reset lc_monetary", "drop table t")
        place = restoring.examine(door, backup)
        assert money.MONETARY not in taken(door, tmp_path)[1].holds.locale, "there are no amounts"
    (_, told) = restores.target(Seen(place), Picked(backup))
    assert told.cause is restores.LOCALE and "monetary C and not de_DE.UTF-8" in told.observed
    came = drilled(kept, backup)
    assert came.broke is None and not any(map(comparing.grave, came.differences))
    far = replace(backup, holds=replace(backup.holds, locale={**backup.holds.locale, "monetary": "xx_XX"}))
    (found,) = drills.restored(drilled(kept, far), Picked(far))
    assert found.status is Status.UNKNOWN and "cannot write money" in found.why and "xx_XX" in found.why
