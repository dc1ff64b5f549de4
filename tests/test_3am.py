"""An application that meets a bad night: slow answers, a full disk, a network that comes and goes."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opslib.archive import shared
from opslib.errors import ConfigError, DiskFull, OpsError, ParameterError, Unreachable
from opslib.gate import authority, vault
from opslib.gate.ledger import DO, DONE, Ledger
from opslib.gate.plan import Observed, Target
from tests.changing import Office, Shelf, ShelfKind, draft, target


def test_an_act_that_takes_hold_after_its_answer_was_lost_is_ours(office: Office) -> None:
    """The server was still at it: the act is not sent again, and not taken for somebody else's."""
    shelf = Shelf(a="1")
    shelf.breaks(Unreachable("no answer within 10 s", kind="timeout"), a="1")
    plan = office.plan(draft(target("a", "1", "2")))
    first = office.applying(plan, shelf)[0]
    assert (first.state, "run apply again" in first.text) == ("unclear", True)
    shelf.values["a"] = "2"
    assert office.applying(plan, shelf)[0].state == "done"
    assert shelf.writes == ["a=2"]


def test_an_act_that_shows_only_at_the_second_look_is_done(office: Office) -> None:
    """One look at once would have called it lost."""
    shelf, looks = Shelf(a="1"), []

    class Slow(ShelfKind):
        def observe(self, target: Target) -> Observed:
            looks.append(target.name)
            shelf.values["a"] = "2" if len(looks) > 2 else "1"
            return super().observe(target)

    shelf.breaks(Unreachable("no answer within 10 s", kind="timeout"))
    assert office.applying(office.plan(draft(target("a", "1", "2"))), shelf, Slow)[0].state == "done"


def test_what_was_never_sent_has_failed_at_once(office: Office) -> None:
    """There is nothing to wait for, and nothing stays open."""
    shelf = Shelf(a="1")
    shelf.breaks(Unreachable("refuses connections", kind="refused"), a="1")
    plan = office.plan(draft(target("a", "1", "2")))
    assert office.applying(plan, shelf)[0].state == "failed"
    assert not Ledger(office.changes, plan.digest).open_entries(plan.draft.targets)


def test_a_network_that_is_away_for_a_moment_does_not_end_the_wait(office: Office) -> None:
    """The act was accepted; the next look tells."""
    shelf, looks = Shelf(a="1"), []

    class Blinking(ShelfKind):
        def observe(self, target: Target) -> Observed:
            looks.append(target.name)
            if len(looks) == 2:
                raise Unreachable("no answer")
            return super().observe(target)

    result = office.applying(office.plan(draft(target("a", "1", "2"))), shelf, Blinking)[0]
    assert (result.state, len(looks)) == ("done", 3)


def test_an_act_that_the_vendor_gave_up_on_is_not_sent_again_when_it_is_settled(office: Office) -> None:
    """Cut off while it was under way: it was begun, and did not work."""
    shelf = Shelf(a="1")

    class GaveUp(ShelfKind):
        def observe(self, target: Target) -> Observed:
            return Observed({"value": "1"}, text="the build failed", failed=True)

    plan = office.plan(draft(target("a", "1", "2")))
    Ledger(office.changes, plan.digest, "run-1").intent(plan.draft.targets[0], DO)
    result = office.applying(plan, shelf, GaveUp)[0]
    assert (result.state, result.text, shelf.writes) == ("failed", "cut off, and the build failed", [])


@pytest.mark.parametrize("error", [ConfigError("no address"), KeyError("x"), ParameterError("no")], ids=repr)
def test_a_watch_that_breaks_takes_the_step_back(office: Office, error: Exception) -> None:
    """Whatever it breaks of: nobody sees what the step does to users."""
    shelf = Shelf(a="1", b="1")

    def breaks(target: Target) -> str:
        raise error

    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    results = office.applying(plan, shelf, worry=breaks)
    assert [str(result.state) for result in results] == ["taken back", "not reached"]
    assert shelf.values == {"a": "1", "b": "1"}


def test_a_disk_that_fills_up_in_the_middle_hides_nothing_that_was_done(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is done, the second sent and not written down; the rest is not reached, and all is told."""
    shelf = Shelf(a="1", b="1", c="1")
    plan = office.plan(draft(*(target(name, "1", "2") for name in "abc")))
    room, append = [4], shared.append

    def filling(path: Path, line: bytes) -> None:
        room[0] -= 1
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        append(path, line)

    monkeypatch.setattr(shared, "append", filling)
    results = office.applying(plan, shelf)
    assert [str(result.state) for result in results] == ["done", "unclear", "not reached"]
    assert "could not be written down" in results[1].text
    monkeypatch.setattr(shared, "append", append)
    again = office.applying(plan, shelf)
    assert [str(result.state) for result in again] == ["already done", "done", "done"]
    assert shelf.writes == ["a=2", "b=2", "c=2"]


def test_a_disk_that_is_full_from_the_start_changes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ledger, no act."""
    shelf = Shelf(a="1")
    plan = office.plan(draft(target("a", "1", "2")))

    def full(path: Path, line: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(shared, "append", full)
    with pytest.raises(DiskFull):
        office.applying(plan, shelf)
    assert shelf.writes == []


def test_a_step_that_was_cut_off_while_it_was_taken_back_is_taken_back_though_the_plan_expired(
    office: Office,
) -> None:
    """The way back was approved too; nothing else is begun."""
    shelf = Shelf(a="2", b="1")
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")), age=31)
    office.approve(plan, minutes=-1)
    ledger = Ledger(office.changes, plan.digest, "run-1")
    ledger.finished({})
    ledger.intent(plan.draft.targets[0], DO)
    ledger.outcome(plan.draft.targets[0], DO, DONE, "done")
    ledger.take_back("errors rose")
    allowed = authority.allow(plan, office.env(), office.changes, datetime.now(UTC))
    results = office.applying(plan, shelf, settle_only=allowed.settle_only)
    assert [str(result.state) for result in results] == ["taken back", "not reached"]
    assert shelf.writes == ["a=1"]


def test_a_step_whose_watch_was_cut_off_is_watched_though_an_earlier_run_had_come_to_its_end(
    office: Office,
) -> None:
    """That run had ended before the step was done."""
    shelf = Shelf(a="2")
    plan = office.plan(draft(target("a", "1", "2")))
    ledger = Ledger(office.changes, plan.digest, "run-1")
    ledger.finished({})
    ledger.intent(plan.draft.targets[0], DO)
    ledger.outcome(plan.draft.targets[0], DO, DONE, "done")
    assert office.applying(plan, shelf, worry=lambda target: "errors rose")[0].state == "taken back"


@pytest.mark.parametrize("content", [b"", b"half a k"])
def test_a_key_for_former_values_that_a_power_cut_left_damaged_is_named(
    office: Office, content: bytes
) -> None:
    """With the file, not as a crash."""
    vault.keep("sha256:1", "sha256:2", "before", "kanarienvogel-2")
    key = office.root / "home-ada" / "keys" / "keepsakes.key"
    key.write_bytes(content)
    with pytest.raises(OpsError, match=r"keepsakes\.key"):
        vault.get("sha256:1", "sha256:2", "before")
    with pytest.raises(OpsError, match=r"keepsakes\.key"):
        vault.keep("sha256:1", "sha256:2", "before", "kanarienvogel-2")


def test_a_key_for_former_values_is_there_whole_or_not_at_all(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk while it was made leaves nothing that the next change would stumble over."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFull):
        vault.keep("sha256:1", "sha256:2", "before", "kanarienvogel-2")
    monkeypatch.undo()
    office.become("ada")
    vault.keep("sha256:1", "sha256:2", "before", "kanarienvogel-2")
    assert vault.get("sha256:1", "sha256:2", "before") == "kanarienvogel-2"


@pytest.mark.parametrize("begun", [False, True])
def test_what_cannot_be_looked_at_is_unclear_only_if_it_was_begun(office: Office, begun: bool) -> None:
    """Before the act nothing can have taken place; after an intent nobody knows. There it ends."""
    shelf = Shelf(a="1", b="1")

    class Blind(ShelfKind):
        def observe(self, target: Target) -> Observed:
            raise Unreachable("no answer")

    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")))
    if begun:
        Ledger(office.changes, plan.digest, "run-1").intent(plan.draft.targets[0], DO)
    results = office.applying(plan, shelf, Blind)
    assert [str(result.state) for result in results] == ["unclear" if begun else "not begun", "not reached"]
    assert shelf.writes == []
