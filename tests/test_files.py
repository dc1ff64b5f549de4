"""Files for real: what is missing, changed, not copied or open to all is found, and one file comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opslib import acts, config, frames, ids
from opslib.acts import Opening, Work
from opslib.changes import files as planner
from opslib.checks import files as checks
from opslib.checks import old_files, same_files
from opslib.cli.app import cli
from opslib.config import Limit, VendorAccess
from opslib.config.environment import Environment
from opslib.config.files import CopyPlace, FileBucket
from opslib.errors import NotNamed, ParameterError, Refused, SourceError
from opslib.files import choosing, copying, inventory, places
from opslib.files.copying import PUT, TAKE
from opslib.files.inventory import Inventory, Said, Side
from opslib.files.place import Content, Object, Place
from opslib.files.places import COPY, LIVE
from opslib.files.s3 import S3Bucket
from opslib.files.supabase import SupabaseBucket
from opslib.gate import faults
from opslib.run.files import FileSource
from opslib.sandbox import control
from opslib.verdict import Cause, Finding, Status
from tests import buckets
from tests.acting import Case, applied, arrived, perform, planned, ready, states
from tests.test_files_places import at_s3, removed

SYSTEM, BUCKET = "voiceaitraining", "recordings"
NOW = ids.now()
LIMIT = Limit(warning=26, critical=50, unit="h")
SHARE = Limit(warning=20, critical=50, unit="%")
SPEC = FileBucket.model_validate({"what": "x", "at": "supabase", "bucket": "b", "source": "a test"})
SIDE = Side("supabase:b", public=Said(value=False))


def environment(system: str = SYSTEM) -> Environment:
    """Return where it is rehearsed."""
    return config.load_system(system).environment("sandbox")


def side(name: str, system: str = SYSTEM) -> Place:
    """Return one side of the rehearsed bucket."""
    return places.of(
        environment(system), next(iter(environment(system).system.files)), name, hash_bytes=10**6
    )


def seen(system: str = SYSTEM) -> Inventory:
    """Return what is in the rehearsed bucket and in its copy."""
    return FileSource(environment(system), None).inventory()[0]


def restoring(key: str, **more: str) -> Case:
    """Return what a person types to get a file back."""
    given = {"action": "restore", "bucket": BUCKET, "key": key, **more}
    return Case("file-storage", "object-missing", SYSTEM, given, vendors=("supabase",))


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive, and a key to approve with; afterwards both sides hold what they held."""
    ready(monkeypatch, tmp_path)
    kept = {name: held(name) for name in (LIVE, COPY)}
    yield tmp_path
    control.heal()
    assert {name: held(name) for name in (LIVE, COPY)} == kept


def held(name: str) -> dict[str, tuple[int, str]]:
    """Return size and tag of all that one side holds."""
    return {key: (one.size, one.etag) for key, one in side(name).objects().items()}


def lost() -> str:
    """Lose a file that the copy has, and return its key."""
    control.break_("object-missing", SYSTEM)
    (key,) = seen().missing
    return key


def test_a_lost_file_comes_back_once_and_goes_again_by_undo(archive: Path) -> None:
    """Found, planned, approved, put, read back, found well; twice is once; undo takes away what was put."""
    key = lost()
    case = restoring(key)
    before = arrived(case)
    document = planned(case, archive)
    assert (document["verdict"], document["cause"]["id"]) == ("critical", "object-missing")
    assert arrived(case) == before and side(LIVE).content(key) is None, "a dry run writes nothing"
    after = applied(case, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"]), after["findings"]
    assert side(LIVE).content(key) == side(COPY).content(key) and arrived(case) - before == 1
    again = applied(case, document, archive)
    assert (again["verdict"], states(again)) == ("ok", ["already done"]) and arrived(case) - before == 1
    assert cli.main(["undo", after["run_id"], "--json"], standalone_mode=False) == 2, "the fault is back"
    assert side(LIVE).content(key) is None and side(COPY).content(key)


def test_killed_on_the_way_a_file_is_there_as_a_whole_or_not_at_all(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 at each point; applied again it arrives exactly once."""
    key = lost()
    case = restoring(key)
    document = planned(case, archive)
    before, found = arrived(case), []
    for point in faults.POINTS:
        monkeypatch.setenv(faults.VARIABLE, point)
        assert applied(case, document, archive)["cause"]["id"] == "kernel-died"
        found.append(side(LIVE).content(key))
    whole = side(COPY).content(key)
    assert found == [None, None, whole, whole]
    monkeypatch.delenv(faults.VARIABLE)
    assert applied(case, document, archive)["verdict"] == "ok" and arrived(case) - before == 1


def test_what_somebody_put_there_in_the_meantime_is_left_alone(archive: Path) -> None:
    """The approval is for an empty place."""
    key = lost()
    document = planned(restoring(key), archive)
    theirs = Content(b"theirs", "audio/mpeg")
    side(LIVE).put(Opening(Work(PUT), "key"), key, theirs)
    after = applied(restoring(key), document, archive)
    assert states(after) == ["left out"] and side(LIVE).content(key) == theirs
    assert after["cause"]["id"] == "object-changed"


def test_a_changed_file_comes_back_beside_the_other_one(archive: Path) -> None:
    """Which of the two is right, a person decides; so nothing is written over."""
    control.break_("object-changed", SYSTEM)
    (key,) = seen().changed
    nothing = perform("file-storage", SYSTEM, archive, **restoring(key).parameters)
    assert nothing["plan"] is None and nothing["cause"]["id"] == "object-changed"
    beside = restoring(key, to=f"{key}.restored.mp3")
    document = planned(beside, archive)
    after = applied(beside, document, archive)
    assert states(after) == ["done"]
    assert side(LIVE).content(f"{key}.restored.mp3") == side(COPY).content(key) != side(LIVE).content(key)
    assert cli.main(["undo", after["run_id"], "--json"], standalone_mode=False) == 2
    assert side(LIVE).content(f"{key}.restored.mp3") is None


def test_what_the_copy_lacks_is_copied_the_oldest_first(archive: Path) -> None:
    """So many in one plan; what is left for the next one is said, and undo removes what was put."""
    control.break_("copy-stale", SYSTEM)
    waiting = seen().uncopied
    assert len(waiting) == 5
    case = Case("file-storage", "copy-stale", SYSTEM, {"action": "export", "most_files": 3}, ("supabase",))
    before = arrived(case)
    document = planned(case, archive)
    assert [name.split()[0] for name in document["plan"]["targets"]] == [
        f"{BUCKET}/{key}" for key in waiting[:3]
    ]
    after = applied(case, document, archive)
    assert states(after) == ["done"] * 3 and arrived(case) == before, "the bucket is only read"
    assert seen().uncopied == waiting[3:]
    for key in waiting[:3]:
        assert side(COPY).content(key) == side(LIVE).content(key)
    assert cli.main(["undo", after["run_id"], "--json"], standalone_mode=False) == 2
    assert seen().uncopied == waiting


ARCHIVING = Case(
    "file-storage", "exports-old", SYSTEM, {"action": "archive", "bucket": "exports"}, vendors=("supabase",)
)


def exports(name: str) -> Place:
    """Return one side of the rehearsed bucket of exports."""
    return places.of(environment(), "exports", name, hash_bytes=10**6)


def test_old_exports_are_archived_once_and_come_back_by_undo(archive: Path) -> None:
    """Found, planned with their checksums, removed; the copy has each of them, and undo puts them back."""
    control.break_("exports-old", SYSTEM)
    before, copied = exports(LIVE).objects(), exports(COPY).objects()
    document = planned(ARCHIVING, archive)
    assert (document["verdict"], document["cause"]["id"]) == ("warning", "exports-old")
    old = [f"org-1/report-{days}.csv" for days in (200, 130, 100)]
    assert [name.split()[0] for name in document["plan"]["targets"]] == [f"exports/{key}" for key in old]
    assert exports(LIVE).objects() == before, "a dry run removes nothing"
    whole = {key: exports(LIVE).content(key) for key in old}
    after = applied(ARCHIVING, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"] * 3), after["findings"]
    assert set(exports(LIVE).objects()) == set(before) - set(old) and exports(COPY).objects() == copied
    again = applied(ARCHIVING, document, archive)
    assert (again["verdict"], states(again)) == ("ok", ["already done"] * 3)
    assert cli.main(["undo", after["run_id"], "--json"], standalone_mode=False) == 0
    assert {key: exports(LIVE).content(key) for key in old} == whole


def test_what_the_copy_has_not_byte_for_byte_is_not_archived(archive: Path) -> None:
    """It would be the last one there is; also where the copy changed since the plan."""
    control.break_("exports-old", SYSTEM)
    lacking, other, kept = (f"org-1/report-{days}.csv" for days in (200, 130, 100))
    folder = environment().copies / SYSTEM / "exports"  # type: ignore[operator]
    (folder / lacking).unlink()
    (folder / other).write_bytes(bytes((folder / other).stat().st_size))
    document = perform("file-storage", SYSTEM, archive, **ARCHIVING.parameters)
    assert document["cause"]["id"] == "copy-stale", "first what is worse"
    assert document["plan"]["targets"] == [f"exports/{kept} out of the bucket"]
    wish = choosing.asked(environment(), "archive", "exports", "", "", most=9, most_bytes=10**6)
    seen = FileSource(environment(), None).inventory()
    found = choosing.wanted(environment(), seen, wish)
    assert [(one.key, one.reason.split(":")[0]) for one in found] == [
        (lacking, "the copy does not have it yet"),
        (other, "the copy has something else under that name, so this one is the last there is"),
        (kept, ""),
    ]
    (folder / kept).write_bytes(b"something else")
    with pytest.raises(Refused, match="not the file that the plan names"):
        copying.carry_out(Opening(found[2].work(TAKE), "key"), environment())
    assert exports(LIVE).content(kept)


def test_a_bucket_whose_files_are_archived_says_where_to() -> None:
    """And that users may miss files there; else each archived one would be called lost."""
    given = {"what": "x", "at": "supabase", "bucket": "b", "source": "a test", "archive_after_days": 9}
    copy = {"at": "folder", "folder": "/copies"}
    for lacking in ({"copy": copy}, {"mutable": True}):
        with pytest.raises(ValueError, match="needs `copy`, and `mutable"):
            FileBucket.model_validate({**given, **lacking})
    spec = FileBucket.model_validate({**given, "copy": copy, "mutable": True})
    unseen = Inventory("x", spec, replace(SIDE, reason="silent"), SIDE)
    assert [one.status for one in old_files.old([unseen])] == [Status.UNKNOWN]
    assert [one.status for one in old_files.old([Inventory("x", SPEC, SIDE, SIDE)])] == [Status.SKIPPED]


def test_a_copy_that_changed_since_the_plan_is_not_brought_back(archive: Path) -> None:
    """The approval is for these bytes."""
    key = lost()
    document = planned(restoring(key), archive)
    path = environment().copies / SYSTEM / BUCKET / key  # type: ignore[operator]
    content, times = path.read_bytes(), path.stat().st_mtime
    path.write_bytes(bytes(len(content)))
    after = applied(restoring(key), document, archive)
    path.write_bytes(content)
    os.utime(path, (times, times))
    assert states(after) == ["failed"] and "not the file that the plan names" in after["changed"][0]["text"]
    assert side(LIVE).content(key) is None


@pytest.mark.parametrize(
    "given, match",
    [
        ({"action": "restore"}, "bucket: a restore needs it"),
        ({"action": "restore", "bucket": BUCKET}, "key: a restore needs it"),
        ({"bucket": "nowhere"}, f"no bucket 'nowhere'; there is: {BUCKET}"),
        ({"key": "a"}, "key: given without an action"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_looked_at(
    sandbox: object, given: Mapping[str, str], match: str
) -> None:
    """At night a name is mistyped, or forgotten."""
    whole = {"action": "", "bucket": "", "key": "", "to": "", **given}
    with pytest.raises(ParameterError, match=match):
        FileSource(environment(), None).asked(**whole, most_files=1, read_mb=1)


def test_a_name_that_nobody_knows_changes_nothing_and_is_a_mistake(archive: Path) -> None:
    """The run says which names there are, as a mistake of whoever typed it and not of the procedure."""
    document = perform("file-storage", SYSTEM, archive, action="restore", bucket="nowhere", key="a")
    assert document["cause"]["id"] == "parameter-refused" and BUCKET in document["cause"]["text"]
    assert document["plan"] is None


def test_what_the_copy_does_not_have_cannot_be_restored(sandbox: object) -> None:
    """Also not what leads out of it."""
    source = FileSource(environment(), None)
    for key in ("nobody.mp3", "../../x"):
        wish = source.asked("restore", BUCKET, key, "", most_files=1, read_mb=1)
        with pytest.raises(ParameterError, match="has no"):
            source.wanted(source.inventory(), wish)


def work(env: Environment, key: str, changed: Mapping[str, Any] | None = None) -> Work:
    """Return the act that brings a file back, or a nearly right one."""
    source = FileSource(env, None)
    wish = source.asked("restore", BUCKET, key, "", most_files=1, read_mb=1)
    (one,) = source.wanted(source.inventory(), wish)
    act = one.work(PUT)
    return Work(act.name, {**act.params, **(changed or {})})


@pytest.mark.parametrize(
    "changed, match",
    [
        ({"sha256": "0"}, "not the file that the plan names"),
        ({"size": 1}, "not the file that the plan names"),
        ({"size": "1"}, "nothing that can be done"),
        ({"source": "nobody.mp3"}, "gone"),
        ({"place": "supabase:other"}, "not to what was shown"),
        ({"side": "elsewhere"}, "no side"),
        ({"key": "../x"}, "no name of an object"),
        ({"bucket": ["x"]}, "nothing that can be done"),
    ],
)
def test_an_act_that_is_not_what_was_shown_does_nothing(
    archive: Path, changed: dict[str, Any], match: str
) -> None:
    """A plan can be written by hand; the work looks for itself."""
    act = work(environment(), lost(), changed)
    assert acts.from_dict(acts.to_dict(act)) == act
    before = held(LIVE)
    with pytest.raises(Refused, match=match):
        copying.carry_out(Opening(act, "key"), environment())
    with pytest.raises(Refused, match="nothing that can be done"):
        copying.carry_out(Opening(replace(act, name="empty_bucket"), "key"), environment())
    assert held(LIVE) == before


def test_the_last_one_of_a_file_is_never_removed(archive: Path) -> None:
    """Only what is on the other side too, byte for byte: a plan written by hand cannot lose a file."""
    key = lost()
    put = work(environment(), key)
    take = replace(put, name=TAKE)
    copying.carry_out(Opening(put, "key"), environment())
    path = environment().copies / SYSTEM / BUCKET / key  # type: ignore[operator]
    aside = path.with_name("aside")
    path.rename(aside)
    with pytest.raises(Refused, match="gone"):
        copying.carry_out(Opening(take, "key"), environment())
    aside.rename(path)
    removed(side(LIVE), key)
    side(LIVE).put(Opening(Work(PUT), "key"), key, Content(b"theirs"))
    with pytest.raises(Refused, match="left alone"):
        copying.carry_out(Opening(take, "key"), environment())
    assert side(LIVE).content(key)


# What the checks say.


def one(key: str, *, size: int = 5, etag: str = "", hours: float = 100) -> Object:
    """Return an object as a listing has it."""
    return Object(key, size, etag, NOW - timedelta(hours=hours))


def looked(live: list[Object], copy: list[Object], *, mutable: bool = False, **more: Any) -> Inventory:
    """Return what was seen of a bucket."""
    here, there = (replace(SIDE, objects={each.key: each for each in found}) for found in (live, copy))
    return Inventory("b", SPEC.model_copy(update={"mutable": mutable}), here, there, **more)


def unseen(reason: str = "it did not answer", **more: Any) -> Inventory:
    """Return a bucket that could not be looked at."""
    return Inventory("b", SPEC, replace(SIDE, reason=reason, public=Said(reason=reason), **more), SIDE)


def said(found: list[Finding]) -> list[tuple[Status, Cause | None]]:
    """Return what findings say."""
    return [(each.status, each.cause) for each in found]


def no_history(key: str) -> pd.DataFrame:
    """Return what an archive without earlier runs has."""
    return pd.DataFrame({"finished_at": [], "observed": []})


def everything(seen: list[Inventory]) -> list[Finding]:
    """Return what all checks of files say."""
    empty = pd.DataFrame(columns=["place", "bucket", "public", "declared"])
    return [
        *checks.listed(seen), *same_files.missing(seen, SHARE), *same_files.changed(seen, SHARE),
        *checks.copied(seen, LIMIT),
        *checks.public(seen, empty), *checks.sizes(seen, no_history, Limit(critical=1, unit="GB"), LIMIT),
    ]  # fmt: skip


@pytest.mark.parametrize("cause", [None, inventory.FORBIDDEN])
def test_what_could_not_be_looked_at_is_unknown_in_every_check(cause: Cause | None) -> None:
    """Refused, slow, broken off, malformed or forbidden: nowhere ok, nowhere empty."""
    found = everything([unseen(cause=cause)])
    assert {each.status for each in found if each.subject != "b, copy"} == {Status.UNKNOWN}
    assert checks.listed([unseen(cause=cause)])[0].cause is cause
    table = checks.summary([unseen()])
    assert table[["files", "missing", "changed", "not_copied"]].isna().all(axis=None)
    assert checks.differences([unseen()]).empty


def test_an_empty_bucket_that_was_seen_is_well() -> None:
    """Nothing there and nothing in the copy is no fault."""
    assert {each.status for each in everything([looked([], [])])} <= {Status.OK, Status.SKIPPED}


def test_a_bucket_without_a_copy_is_critical() -> None:
    """No backup of the database holds its files."""
    bare = Inventory("b", SPEC, SIDE, Side("copy of b", reason="names no copy", absent=True))
    assert said(checks.listed([bare])) == [(Status.OK, None), (Status.CRITICAL, checks.NO_COPY)]
    assert said(same_files.missing([bare], SHARE)) == [(Status.UNKNOWN, None)]


def test_a_bucket_that_nobody_can_find_is_not_taken_for_private() -> None:
    """Its vendor is not named, or its name was never filled in: it may be open to everybody all the same."""
    empty = pd.DataFrame(columns=["place", "bucket", "public", "declared"])
    nowhere = Side("live of b", reason="bucket was never filled in: [BUCKET]", absent=True)
    (found,) = checks.public([Inventory("b", SPEC, nowhere, SIDE)], empty)
    assert (found.status, found.subject) == (Status.UNKNOWN, "b") and "never filled in" in found.why
    bare = Inventory("b", SPEC, SIDE, Side("copy of b", reason="names no copy", absent=True))
    assert [one.status for one in checks.public([bare], empty)] == [Status.OK], "no copy is open to nobody"


def test_files_that_only_the_copy_has_are_lost_unless_users_remove_them() -> None:
    """And the finding says how to bring the first one back."""
    there = [one("a"), one("b")]
    (found,) = same_files.missing([looked([one("b")], there)], SHARE)
    assert (found.status, found.cause, found.observed) == (Status.CRITICAL, same_files.MISSING, "1 of 2")
    assert found.next_parameters == {"action": "restore", "bucket": "b", "key": "a"}
    (found,) = same_files.missing([looked([one("b")], there, mutable=True)], SHARE)
    assert found.status is Status.OK and "users remove" in found.why


def many(count: int, **more: Any) -> list[Object]:
    """Return so many objects."""
    return [one(f"{number:02}", **more) for number in range(count)]


@pytest.mark.parametrize(
    "left, status", [(16, Status.OK), (15, Status.WARNING), (10, Status.CRITICAL), (0, Status.CRITICAL)]
)
def test_users_remove_and_change_some_files_and_not_most_of_them(left: int, status: Status) -> None:
    """A bucket that was emptied, or whose files were all written over, is no user's doing."""
    (found,) = same_files.missing([looked(many(left), many(20), mutable=True)], SHARE)
    assert (found.status, found.cause is same_files.MISSING) == (status, status is not Status.OK)
    other = tuple(each.key for each in many(20))[left:]
    (found,) = same_files.changed([looked(many(20), many(20), mutable=True, changed=other)], SHARE)
    assert (found.status, found.cause is same_files.CHANGED) == (status, status is not Status.OK)
    (found,) = same_files.missing([looked([], many(2), mutable=True)], SHARE)
    assert found.status is Status.CRITICAL, "empty is empty, however few there were"


def test_what_is_old_enough_to_be_archived_is_not_missing() -> None:
    """All old exports are in the copy alone; young ones that are gone are told, and may be copied late."""
    old, young = many(20, hours=91 * 24), [one(f"new-{number}") for number in range(10)]
    seen = looked(young, [*old, *young], mutable=True)
    spec = SPEC.model_copy(update={"mutable": True, "archive_after_days": 90})
    (found,) = same_files.missing([replace(seen, spec=spec)], SHARE)
    assert (found.status, found.observed) == (Status.OK, "none")
    (found,) = same_files.missing([replace(looked(young[:1], [*young]), spec=spec)], SHARE)
    assert found.status is Status.WARNING
    (found,) = same_files.missing([replace(looked([], [*old]), spec=spec)], SHARE)
    assert found.status is Status.OK, "nothing but old ones"


def test_a_change_is_told_apart_from_what_could_not_be_compared() -> None:
    """Tags that differ prove nothing by themselves; sizes alone prove little, which is said."""
    files = [one("a")]
    (found,) = same_files.changed([looked(files, files, changed=("a",))], SHARE)
    assert (found.status, found.cause) == (Status.CRITICAL, same_files.CHANGED)
    assert said(same_files.changed([looked(files, files, unsure=("a",))], SHARE)) == [(Status.UNKNOWN, None)]
    (found,) = same_files.changed([looked(files, files, by_size=1)], SHARE)
    assert (found.status, found.observed) == (Status.OK, "none; 1 compared by size only")
    (found,) = same_files.changed([looked(files, files, mutable=True, changed=("a",))], SHARE)
    assert found.status is Status.OK


@pytest.mark.parametrize("hours, status", [(1, Status.OK), (30, Status.WARNING), (60, Status.CRITICAL)])
def test_a_file_may_wait_for_its_copy_so_long(hours: float, status: Status) -> None:
    """A copy in which nothing is new is not old if nothing new was written."""
    (found,) = checks.copied([looked([one("a"), one("b", hours=hours)], [one("a")])], LIMIT)
    assert found.status is status and (found.cause is checks.STALE) == (status is not Status.OK)
    (found,) = checks.copied(
        [looked([one("a", hours=hours)], [one("a")], mutable=True, changed=("a",))], LIMIT
    )
    assert found.status is status, "one that users have changed waits like a new one"
    assert said(checks.copied([looked([one("a")], [one("a")])], LIMIT)) == [(Status.OK, None)]


def test_versions_that_are_off_are_told_where_the_store_could() -> None:
    """A folder and Supabase Storage keep none: that is no slip."""
    for told, status in (
        (Said(True), Status.OK), (Said(False), Status.WARNING), (Said(), Status.SKIPPED),
        (Said(reason="no"), Status.UNKNOWN),
    ):  # fmt: skip
        here = replace(SIDE, versioned=told)
        assert checks.versions([Inventory("b", SPEC, here, replace(SIDE, reason="x"))])[0].status is status


def test_what_is_open_to_all_is_critical_unless_it_is_meant_to_be() -> None:
    """A copy is never meant to be; a bucket that nobody declared is told, and worse where it is open."""
    told = pd.DataFrame([("supabase", "b", True, "b")], columns=["place", "bucket", "public", "declared"])
    wide = replace(SIDE, public=Said(value=True))
    assert said(checks.public([Inventory("b", SPEC, wide, SIDE)], told)) == [(Status.CRITICAL, checks.PUBLIC)]
    meant = SPEC.model_copy(update={"public": True})
    assert said(checks.public([Inventory("b", meant, wide, SIDE)], told)) == [(Status.OK, None)]
    assert said(checks.public([Inventory("b", meant, SIDE, wide)], told)) == [
        (Status.CRITICAL, checks.PUBLIC)
    ]
    strange = told.assign(declared="")
    assert said(checks.public([Inventory("b", SPEC, SIDE, SIDE)], strange)) == [
        (Status.CRITICAL, checks.PUBLIC)
    ]
    closed = strange.assign(public=False)
    assert said(checks.public([Inventory("b", SPEC, SIDE, SIDE)], closed)) == [
        (Status.WARNING, checks.UNDECLARED)
    ]
    hidden = frames.unavailable(list(told.columns), "refused")
    assert said(checks.public([Inventory("b", SPEC, SIDE, SIDE)], hidden)) == [(Status.UNKNOWN, None)]


def test_growth_is_told_from_earlier_records() -> None:
    """None, one of today, one of last week with less."""
    big = looked([one("a", size=30_000_000)], [])

    def history(days: float, size: float) -> pd.DataFrame:
        return pd.DataFrame({"finished_at": [pd.Timestamp(NOW - timedelta(days=days))], "observed": [size]})

    growth, room = Limit(warning=50, critical=200, unit="%"), Limit(critical=0.02, unit="GB")
    unset = environment().limit("files_gb")
    for frame, status in (
        (no_history(""), Status.SKIPPED), (history(0.1, 1.0), Status.SKIPPED), (history(7, 29.0), Status.OK),
        (history(7, 15.0), Status.WARNING), (history(7, 3.0), Status.CRITICAL),
    ):  # fmt: skip
        found = checks.sizes([big], {"size:b": frame}.__getitem__, unset, growth)
        assert [each.status for each in found] == [Status.OK, status, Status.SKIPPED]
    assert checks.sizes([big], no_history, room, growth)[-1].status is Status.CRITICAL
    assert checks.sizes([big], no_history, room, growth)[0].observed == "30.000 MB"


def test_what_users_have_changed_is_not_written_over_in_the_copy(sandbox: object) -> None:
    """An older file in a copy without versions is the last one of its kind."""
    wish = choosing.asked(environment(), "export", "", "", "", most=9, most_bytes=10)
    files = looked([one("a", hours=1)], [one("a")], mutable=True, changed=("a",))
    (found,) = choosing.wanted(environment(), [files], wish)
    assert "ever written over" in found.reason
    draft = planner.draft(environment(), [found])
    assert draft is not None and not draft.targets and set(draft.left_out) == {"b/a"}


def test_what_was_left_out_of_a_plan_is_said(sandbox: object) -> None:
    """Too large to be copied here, or more than one plan may read."""
    wish = choosing.asked(environment(), "export", "", "", "", most=1, most_bytes=10)
    (key,) = list(seen().live.objects)[:1]
    files = [one("a", size=60_000_000, hours=9), one(key, hours=8), one("b", hours=7)]
    listed = replace(looked(files, []), name=BUCKET)
    draft = planner.draft(environment(), choosing.wanted(environment(), [listed], wish))
    assert draft is not None and [each.identity["key"] for each in draft.targets] == [key]
    large, rest = draft.left_out[f"{BUCKET}/a"], draft.left_out[f"{BUCKET}/b"]
    assert "rclone" in large and "next plan" in rest
    assert planner.draft(environment(), []) is None


def test_old_files_that_cannot_be_copied_keep_no_other_from_it(
    sandbox: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay the oldest for ever: neither their size nor their number may fill a plan, nor all of time."""
    wish = choosing.asked(environment(), "export", BUCKET, "", "", most=3, most_bytes=200_000_000)
    large = [one(f"large-{number}", size=300_000_000, hours=9) for number in range(4)]
    gone = [one(f"gone-{number}", hours=8) for number in range(4)]
    good = list(seen().live.objects)[:5]
    files = [*large, *gone, *(one(key, hours=7) for key in good)]
    listed = replace(looked(files, []), name=BUCKET)
    found = choosing.wanted(environment(), [listed], wish)
    assert [each.key for each in found if not each.reason] == sorted(good)[:3]
    monkeypatch.setattr(choosing, "_MOST_FAULTS", 2)
    found = choosing.wanted(environment(), [listed], wish)
    assert not [each for each in found if not each.reason] and "see why first" in found[-1].reason
    assert len(found) == len(large) + 2 + 1, "a store that refuses everything is not asked to the end"


# Where the sides are.


def at(copy: dict[str, str] | None, **vendors: VendorAccess) -> Environment:
    """Return an environment outside of the sandbox with one bucket."""
    spec = {"what": "x", "at": "supabase", "bucket": "b", "source": "a test"}
    files = {"b": FileBucket.model_validate({**spec, **({"copy": copy} if copy else {})})}
    env = config.load_system(SYSTEM).environment("production")
    return replace(
        env, system=env.system.model_copy(update={"files": files}), vendors={**env.vendors, **vendors}
    )


def test_each_side_is_where_the_systems_file_says(tmp_path: Path) -> None:
    """A folder, another bucket, a part of one at S3; what was never filled in is said."""
    aws = at_s3("http://127.0.0.1:9")
    supabase = places.of(at(None), "b", LIVE)
    assert isinstance(supabase, SupabaseBucket) and str(supabase) == "supabase:b"
    found = places.of(at({"at": "aws", "bucket": "c", "prefix": "files/"}, aws=aws), "b", COPY)
    assert isinstance(found, S3Bucket) and str(found) == "s3://c/files"
    assert str(places.of(at({"at": "folder", "folder": str(tmp_path)}), "b", COPY)) == str(tmp_path)
    assert str(places.of(at({"at": "supabase", "bucket": "c"}), "b", COPY)) == "supabase:c"
    for copy, match in ((None, "names no copy"), ({"at": "folder", "folder": "[FOLDER]"}, "never filled in")):
        with pytest.raises(NotNamed, match=match):
            places.of(at(copy), "b", COPY)
    for wrong in ({"at": "folder"}, {"at": "folder", "folder": "here"}, {"at": "aws"}):
        with pytest.raises(ValueError, match="a copy"):
            CopyPlace.model_validate(wrong)


def test_packages_that_are_not_installed_keep_one_side_from_being_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That is unknown, and no end of the run: the other buckets are still looked at."""
    monkeypatch.setattr("opslib.archive.access.find_spec", lambda name: None)
    monkeypatch.delenv("VOICEAITRAINING_SUPABASE_SECRET_KEY", raising=False)
    env = at({"at": "aws", "bucket": "c"}, aws=at_s3("http://127.0.0.1:9"))
    found = inventory.look(env, "b", most_bytes=0)
    assert "not installed" in found.copy.reason and "VOICEAITRAINING_SUPABASE_SECRET_KEY" in found.live.reason
    assert Status.OK not in {each.status for each in everything([found])}


def test_tags_that_differ_are_settled_by_reading(archive: Path) -> None:
    """A store that encrypts has tags that look like sums and are none: that is no change."""
    live = side(LIVE).objects()
    key = min(side(COPY).objects())
    other = {**live, key: replace(live[key], etag="0" * 32)}
    here, there = (replace(SIDE, objects=objects) for objects in (live, other))
    suspects, by_size, changed = inventory._compared(here, there)
    assert (suspects, by_size, changed) == ([key], 0, [])

    def both() -> tuple[Place, Place]:
        return side(LIVE), side(COPY)

    assert inventory._confirmed(suspects, here, both, 10**6) == ([], ())
    assert inventory._confirmed(suspects, here, both, 0) == ([], (key,))
    control.break_("object-changed", SYSTEM)
    (other_one,) = seen().changed
    assert inventory._confirmed([other_one], here, both, 10**6) == ([other_one], ())
    control.break_("storage-forbidden", SYSTEM)
    assert inventory._confirmed(suspects, here, both, 10**6) == ([], (key,))


def test_the_copy_is_listed_before_the_bucket(sandbox: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way round, what is written and copied in between would look lost."""
    asked: list[str] = []
    of = places.of

    def noted(env: Environment, name: str, side: str, *more: Any, **named: Any) -> Place:
        asked.append(side)
        return of(env, name, side, *more, **named)

    monkeypatch.setattr(places, "of", noted)
    assert not seen().reason and asked[:2] == [COPY, LIVE]


def test_a_copy_at_s3_serves_as_well_as_a_folder(archive: Path) -> None:
    """The same inventory, and the same work, to a bucket of a real S3 server and back."""
    with buckets.serving() as server:
        bucket = server.bucket()
        aws, env = at_s3(server.url), environment()
        spec = env.system.files[BUCKET].model_copy(
            update={"copy_to": CopyPlace(at="aws", bucket=bucket.name, prefix="files")}
        )
        system = env.system.model_copy(update={"files": {BUCKET: spec}})
        env = replace(env, system=system, copies=None, vendors={**env.vendors, "aws": aws})
        source = FileSource(env, None)
        wish = source.asked("export", "", "", "", most_files=50, read_mb=1)
        for one in source.wanted(source.inventory(), wish):
            assert not one.reason
            copying.carry_out(Opening(one.work(PUT), "key"), env)
        (found,) = source.inventory()
        assert not (found.uncopied or found.missing or found.changed or found.unsure or found.by_size)
        key = min(found.live.objects)
        removed(side(LIVE), key)
        (found,) = source.inventory()
        assert found.missing == (key,)
        wish = source.asked("restore", BUCKET, key, "", most_files=1, read_mb=1)
        (back,) = source.wanted((found,), wish)
        assert back.type == "audio/mpeg"
        copying.carry_out(Opening(back.work(PUT), "key"), env)
        (found,) = source.inventory()
        assert not found.missing and not found.changed
        assert said(checks.versions([found])) == [(Status.SKIPPED, None), (Status.WARNING, checks.VERSIONS)]


def test_healing_puts_every_file_back_as_it_was(archive: Path) -> None:
    """Byte for byte, times included; the fixture looks at sizes and tags of both sides once more."""

    def content() -> dict[str, tuple[datetime, Content | None]]:
        found: dict[str, tuple[datetime, Content | None]] = {}
        for name in (LIVE, COPY):
            place = side(name)
            found |= {f"{name}/{k}": (o.modified, place.content(k)) for k, o in place.objects().items()}
        return found

    before = content()
    for scenario in ("object-missing", "object-changed", "copy-stale"):
        control.break_(scenario, SYSTEM)
        assert content() != before
        control.heal(scenario, SYSTEM)
        assert content() == before
    control.break_("storage-forbidden", SYSTEM)
    with pytest.raises(SourceError):
        side(LIVE).objects()
