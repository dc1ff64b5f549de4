"""Several hands at one act: who goes on, who waits, and who looks around."""

from __future__ import annotations

import threading

import pytest

from opslib.errors import Forbidden, Refused, Unreachable
from opslib.gate import steps
from opslib.pg.frame import Row


class Watched:
    """A kind of change whose act has some stretches, and that ends it at the first question."""

    def __init__(self) -> None:
        self.asked = list[dict[str, int]]()

    def stretches(self, target: object, hands: int) -> list[steps.Stretch]:
        """Return more than the hands can take at once."""
        return [{"begin": number} for number in range(9)]

    def more(self, target: object, done: dict[str, int]) -> bool:
        """Note what was done until now, and let nobody go on."""
        self.asked.append(done)
        return False


def test_a_stretch_in_which_somebody_was_in_the_way_comes_after_the_others() -> None:
    """One alone would otherwise meet the same lock again and again, and nothing would ever go."""
    told = list[int]()

    def meets_a_lock_at_first(stretch: steps.Stretch) -> list[Row]:
        told.append(stretch["begin"])
        if stretch["begin"] == 0 and len(told) < 9:
            raise Unreachable("locked", kind="lock-timeout")
        return []

    class Patient(Watched):
        def more(self, target: object, done: dict[str, int]) -> bool:
            return len(told) < 10

    list(steps.taken([meets_a_lock_at_first], Patient(), None, ()))  # type: ignore[arg-type]
    assert told == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]


def test_who_gives_up_says_what_was_in_the_way() -> None:
    """Not merely that rows are left, as if nothing had been tried."""

    def meets_a_lock(stretch: steps.Stretch) -> list[Row]:
        raise Unreachable("canceling statement due to lock timeout", kind="lock-timeout")

    with pytest.raises(Unreachable, match="due to lock timeout"):
        list(steps.taken([meets_a_lock], Watched(), None, ()))  # type: ignore[arg-type]


def test_hands_that_all_meet_a_lock_stand_still_until_somebody_has_looked() -> None:
    """They would keep each other going: nobody would wait, and nobody see that the plan no longer holds."""
    tried, kind = list[int](), Watched()

    def meets(stretch: steps.Stretch) -> list[Row]:
        tried.append(stretch["begin"])
        raise Unreachable("somebody holds it", kind="lock-timeout")

    hands = [lambda part: meets(part), lambda part: meets(part)]
    with pytest.raises(Unreachable, match="somebody holds it"):
        list(steps.taken(hands, kind, None, ()))  # type: ignore[arg-type]
    assert (sorted(tried), kind.asked) == ([0, 1], [{}])


def test_a_hand_whose_rows_somebody_has_changed_meanwhile_tries_again_at_once() -> None:
    """Nobody holds them any more: to wait for whoever looks around would cost as long as a step."""
    again, tried, kind = threading.Event(), list[int](), Watched()

    def goes_on_until_then(stretch: steps.Stretch) -> list[Row]:
        assert again.wait(5), "the other stands still"
        return [{"moved": 1}]

    def is_late(stretch: steps.Stretch) -> list[Row]:
        tried.append(stretch["begin"])
        if len(tried) == 1:
            raise Unreachable("somebody was faster", kind="moved")
        again.set()
        return []

    list(steps.taken([goes_on_until_then, is_late], kind, None, ()))  # type: ignore[arg-type]
    assert len(tried) > 1


def test_hands_work_on_by_themselves_until_it_is_time_to_look_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look after each step would cost as much as a small step takes."""
    kind, done = Watched(), list[int]()

    def quick(stretch: steps.Stretch) -> list[Row]:
        done.append(stretch["begin"])
        return [{"moved": 1, "begin": None}]

    monkeypatch.setattr(steps, "TURN_S", 3600.0)
    said = list(steps.taken([quick], kind, None, ("begin",)))  # type: ignore[arg-type]
    assert (done, said, kind.asked) == (list(range(9)), ["9 moved"], [{"moved": 9}])


def test_once_one_has_failed_for_good_nobody_begins_another_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more is done than what was under way, also where somebody presses Ctrl-C."""
    begun, taken, many = threading.Event(), list[int](), 200_000

    def may_not(stretch: steps.Stretch) -> list[Row]:
        assert begun.wait(5)
        raise Forbidden("permission denied")

    def goes_on(stretch: steps.Stretch) -> list[Row]:
        begun.set()
        taken.append(stretch["begin"])
        return [{"moved": 1, "begin": 0}] if len(taken) < many else []

    monkeypatch.setattr(steps, "TURN_S", 3600.0)
    with pytest.raises(Forbidden):
        list(steps.taken([may_not, goes_on], Watched(), None, ("begin",)))  # type: ignore[arg-type]
    assert 0 < len(taken) < many


def test_a_lost_connection_weighs_more_than_what_broke_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was doing may have been done: to call it failed would be wrong, and nobody would look again."""
    noticed = threading.Event()

    def is_lost(stretch: steps.Stretch) -> list[Row]:
        assert noticed.wait(5)
        raise Unreachable("whether the change was made is not known", kind="lost")

    def has_no_lock_any_more(stretch: steps.Stretch) -> list[Row]:
        raise Refused("the lock was lost")

    monkeypatch.setattr(steps._Crew, "stop", lambda crew: noticed.set())
    with pytest.raises(Unreachable, match="is not known"):
        list(steps.taken([is_lost, has_no_lock_any_more], Watched(), None, ()))  # type: ignore[arg-type]


def test_nobody_goes_on_for_long_while_the_first_who_looks_around_is_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hold that comes meanwhile, or a replica that falls behind, would be seen too late."""
    monkeypatch.setattr(steps, "TURN_S", 0.0)
    monkeypatch.setattr(steps, "UNWATCHED_S", 0.0)
    again, kind, done = threading.Event(), Watched(), list[int]()

    def held_up(stretch: steps.Stretch) -> list[Row]:
        assert not again.wait(0.3)
        return [{"moved": 1, "with_them": 2}]

    def quick(stretch: steps.Stretch) -> list[Row]:
        done.append(stretch["begin"])
        if len(done) > 1:
            again.set()
        return [{"moved": 1, "with_them": 2}]

    said = list(steps.taken([held_up, quick], kind, None, ()))  # type: ignore[arg-type]
    assert said == ["2 moved, 4 with them"]
    assert kind.asked == [{"moved": 2, "with_them": 4}]
