"""What a leaf says, and that it can be said in one way only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785

from opslib.evidence import events
from opslib.evidence.events import Event, Planned, Subject, decode_event, encode_event
from opslib.evidence.plain import NotSound

WHEN = datetime(2026, 11, 21, 3, 4, 5, 678_000, tzinfo=UTC)
FILE = Subject("files/plan \u00e9.json", "ab" * 32)
NIGHTLY = Planned(
    "schedule:nightly", "daily routine", "kulti", "production", "0 3 * * *", "Europe/Berlin", "60"
)
HOURLY = Planned("schedule:hourly", "site-down", "kulti", "production", "5 * * * *", "UTC", "10")
ALL: tuple[Event, ...] = (
    events.RunRequested(time=WHEN, actor="ana", run="r-1", procedure="site-down", system="kulti",
                        environment="production", trigger="schedule", slot="nightly", scheduled_for=WHEN),
    events.RunRequested(time=WHEN, run="r-1"),
    events.RunStarted(time=WHEN, run="r-1"),
    events.RunFinished(time=WHEN, run="r-1", verdict="ok", started=WHEN, subjects=(FILE,)),
    events.Approval(time=WHEN, actor="bo", plan="sha256:ab", decision="approved", key="SHA256:a", given=WHEN),
    events.ChangeBegun(time=WHEN, actor="bo", run="r-1", plan="sha256:ab", undoes="sha256:cd", need="other"),
    events.ScheduleChanged(
        time=WHEN, slots=(NIGHTLY, HOURLY), subjects=(FILE, Subject("schedule.yml", "cd" * 32)),
    ),
    events.ScheduleChanged(time=WHEN),
    events.SlotSkipped(time=WHEN, slot="nightly", scheduled_for=WHEN, reason="nobody ticked"),
    events.KeyRotated(time=WHEN, role="runner", old="ssh-ed25519 A", new="ssh-ed25519 B", vouched="YQ==",
                      accepted="Yg=="),
    events.Annotation(time=WHEN, actor="ana", run="r-1", key="SHA256:a", subjects=(FILE,)),
    events.Disposal(time=WHEN, run="r-1", policy="seven years", subjects=(FILE,)),
    events.Hold(time=WHEN, run="r-1", state="set", reason='said "no"\n\t\x01\x7f \u2028 \U0001f525'),
)  # fmt: skip
WHOLE = encode_event(ALL[3])


@pytest.mark.parametrize("event", ALL, ids=lambda event: event.kind)
def test_an_event_comes_back_as_it_was_and_is_canonical(event: Event) -> None:
    """To the byte what RFC 8785 makes of it, so anybody can make the same leaf."""
    leaf = encode_event(event)
    assert decode_event(leaf) == event
    assert rfc8785.dumps(json.loads(leaf)) == leaf
    assert json.loads(leaf)["type"] == event.kind


def test_every_kind_is_tried_here() -> None:
    """A new kind must not be forgotten."""
    assert {event.kind for event in ALL} == set(events.KINDS)


def test_a_time_is_told_in_utc_whatever_clock_it_was_read_from() -> None:
    """The same moment makes the same leaf."""
    there = WHEN.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert encode_event(events.RunStarted(time=there, run="r")) == encode_event(
        events.RunStarted(time=WHEN, run="r")
    )


@pytest.mark.parametrize(
    "leaf",
    [
        b"", b"\xff", b"[]", b"null", b"{}", b"[" * 100_000,
        WHOLE + b" ", WHOLE.replace(b":", b": ", 1),
        WHOLE.replace(b"run.finished", b"run.vanished"),
        WHOLE.replace(b'"verdict":"ok"', b'"verdict":1'),
        WHOLE.replace(b'"verdict":"ok"', b'"verdict":null'),
        WHOLE.replace(b'"verdict":"ok"', b'"verdict":"ok","z":""'),
        WHOLE.replace(b',"verdict":"ok"', b""),
        WHOLE.replace(b"05.678Z", b"05Z"), WHOLE.replace(b"05.678Z", b"65.678Z"),
        WHOLE.replace(b'"r-1"', b'"../r"'), WHOLE.replace(b'"r-1"', b'""'),
        WHOLE.replace(b"files/", b"../"), WHOLE.replace(b"files/", b"/etc/"),
        WHOLE.replace(b"files/", b"x//"),
        WHOLE.replace(b"abab", b"ABAB"), WHOLE.replace(b"abab", b"ab"),
        WHOLE.replace(b'"actor":""', b'"actor":"\\u0061"'),
        WHOLE.replace(b'[{"name"', b'["x",{"name"'), WHOLE.replace(b'"subjects":[{', b'"subjects":[{"a":"",'),
        WHOLE[: WHOLE.index(b'"subjects"')] + b'"subjects":"","time' + WHOLE.split(b'"time')[1],
    ],
)  # fmt: skip
def test_what_is_no_event_in_its_one_form_is_refused(leaf: bytes) -> None:
    """A leaf that two readers could read differently is worth nothing; a path out of the record, worse."""
    assert leaf != WHOLE
    with pytest.raises(NotSound):
        decode_event(leaf)


def test_what_has_no_form_is_not_made_a_leaf() -> None:
    """Before it reaches the log, from which nothing is ever taken out."""
    with pytest.raises(NotSound, match="at most 65535"):
        encode_event(events.Hold(time=WHEN, run="r", state="set", reason="x" * 65_536))
    with pytest.raises(NotSound, match="half a character"):
        encode_event(events.Hold(time=WHEN, run="r", state="\ud800"))
