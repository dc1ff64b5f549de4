"""Masking: a secret does not come through, however it was written, and nothing else is lost."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest

from opslib import masking
from opslib.masking import Masker, seen

VALUE = "pa\\ss/w\"ör&d<5> +x%'q"
HIDDEN = "[redacted:token]"

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json twice": lambda v: json.dumps(json.dumps(v)),
    "json as utf-8": lambda v: json.dumps(v, ensure_ascii=False),
    "repr": repr,
    "bytes repr": lambda v: repr(v.encode()),
    "percent": lambda v: quote(v, safe=""),
    "percent, slashes kept": quote,
    "percent, lower case": lambda v: re.sub("%..", lambda m: m[0].lower(), quote(v, safe="")),
    "form": quote_plus,
    "html": html.escape,
    "html, quotes kept": lambda v: html.escape(v, quote=False),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64, urlsafe": lambda v: base64.urlsafe_b64encode(v.encode()).decode(),
    "base64 after one byte": lambda v: base64.b64encode(b"x" + v.encode() + b"yz").decode(),
    "base64 after a user name": lambda v: base64.b64encode(b"app:" + v.encode()).decode(),
    "base64 after five bytes": lambda v: base64.urlsafe_b64encode(b"12345" + v.encode() + b"!").decode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_a_value_is_masked_in_every_form_that_libraries_print(encoding: str) -> None:
    """Exact search alone lets most of these through."""
    written = ENCODINGS[encoding](VALUE)
    masked = Masker({"token": VALUE}).mask(f"before {written} after")
    assert HIDDEN in masked
    assert len(masked) < len(f"before {HIDDEN} after") + 12
    assert not any(piece in masked for piece in ("ss/w", "ss%2", "q'", written[4:12]))


def test_the_longest_value_wins() -> None:
    """A password inside a connection string must not leave the rest of that string readable."""
    masker = Masker({"password": "hunter2hunter2", "dsn": "postgresql://app:hunter2hunter2@db/app"})
    text = "dsn=postgresql://app:hunter2hunter2@db/app password=hunter2hunter2"
    assert masker.mask(text) == "dsn=[redacted:dsn] password=[redacted:password]"
    assert masker.counts == {"dsn": 1, "password": 1}


def test_masking_twice_is_masking_once() -> None:
    """Names often contain words that are somebody's value; the masker leaves its own marks alone."""
    masker = Masker({"stripe-live": "sk_live_abcdefgh", "other": "stripe-live", "third": "redacted"})
    once = masker.mask("key sk_live_abcdefgh of stripe-live")
    assert once == "key [redacted:stripe-live] of [redacted:other]"
    assert masker.mask(once) == once
    assert sum(masker.counts.values()) == 2


def test_a_mark_that_somebody_else_wrote_hides_no_value() -> None:
    """Only the masker's own marks are left alone."""
    assert Masker({"token": "abcdef123"}).mask("[redacted:abcdef123]") == "[redacted:[redacted:token]]"


@pytest.mark.parametrize("value", ["", "short", "  ab  ", "postgres", "Production", "000000000"])
def test_values_that_are_short_or_common_are_left_alone(value: str) -> None:
    """Otherwise half of a result would be unreadable, for a value that anybody guesses."""
    masker = Masker({"weak": value})
    assert masker.mask(f"on {value} in production") == f"on {value} in production"
    assert not masking.maskable(value)


@pytest.mark.parametrize("cuts", [(3,), (2, 9), tuple(range(1, 12)), (0, 0, 5), (5, 12)], ids=str)
def test_a_value_in_pieces_is_masked_where_it_begins_and_gone_from_the_rest(cuts: tuple[int, ...]) -> None:
    """Together the pieces would still tell it."""
    text = "abcdef-12345 then abcdef-12345!"
    edges = [0, *cuts, len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(edges)]
    masker = Masker({"token": "abcdef-12345"})
    masked = masker.mask_pieces(pieces)
    assert "".join(masked) == f"{HIDDEN} then {HIDDEN}!"
    assert len(masked) == len(pieces) and masker.counts == {"token": 2}
    assert masker.mask_pieces(masked) == masked


def test_pieces_without_a_value_stay_as_they_are() -> None:
    """Also none at all."""
    assert Masker({"token": "abcdef-12345"}).mask_pieces(["abc", "", "def"]) == ["abc", "", "def"]
    assert Masker({"token": "abcdef-12345"}).mask_pieces([]) == []


def test_json_is_masked_in_keys_values_and_numbers() -> None:
    """A value that became a key, or a number, is still the value."""
    masker = Masker({"pin": "84715293", "token": "abcdef123"})
    document = {"abcdef123": [{"x": ("abcdef123", 84715293, 5, None, True)}], "n": 1.5, HIDDEN: "kept"}
    assert masker.mask_json(document) == {
        HIDDEN: [{"x": (HIDDEN, "[redacted:pin]", 5, None, True)}],
        "n": 1.5,
        f"{HIDDEN} 2": "kept",
    }


def test_every_line_of_a_key_file_is_masked() -> None:
    """Logs and tables show such a value line by line."""
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQ", "EFAASCBKcwggSjAgEAAoIBAQ"]
    masker = Masker({"key": "-----BEGIN KEY-----\n" + "\n".join(lines) + "\n-----END KEY-----\n"})
    assert masker.mask(f"1: {lines[0]}\n2: {lines[1]}") == "1: [redacted:key]\n2: [redacted:key]"


def test_a_value_that_is_its_own_name_is_not_shown_by_the_mark() -> None:
    """The label is printed in clear."""
    assert Masker({"abcdef123 of app": "abcdef123"}).mask("abcdef123") == "[redacted:secret]"


def test_text_without_values_stays_the_same_object() -> None:
    """Nothing to do must cost nothing."""
    text = "a" * 1000
    assert Masker().mask(text) is text
    assert Masker({"token": "abcdef123"}).mask(text) is text


def test_two_values_under_one_name_are_both_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two environments name their secret alike; losing the first would leak it."""
    monkeypatch.setattr(masking, "_registered", {})
    for value in ("first-value", "second-value", "first-value", "tiny"):
        masking.register("DATABASE_URL", value)
    assert masking.registered() == {"DATABASE_URL": "first-value", "DATABASE_URL 2": "second-value"}
    masker = Masker(masking.registered())
    assert masker.mask("first-value second-value") == "[redacted:DATABASE_URL] [redacted:DATABASE_URL 2]"


def test_a_value_that_becomes_known_later_is_found_in_a_text_that_was_clean_before() -> None:
    """A text is remembered as clean of the values that were known then, and of no others."""
    masker = Masker({"one": "correct-horse"})
    text = "the battery-staple is here"
    assert masker.mask(text) == masker.mask(text) == text
    masker.add("two", "battery-staple")
    assert masker.mask(text) == "the [redacted:two] is here"


def test_what_is_remembered_as_clean_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that prints for an hour must not be kept in memory a second time."""
    monkeypatch.setattr(seen, "_REMEMBERED_MOST", 100)
    remembered = seen.Seen()
    for number in range(50):
        remembered.put([f"nothing to see here, {number}"], {})
    assert "nothing to see here, 49" in remembered and "nothing to see here, 1" not in remembered
