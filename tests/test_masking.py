"""Masking: a secret does not come through, however it was written, and nothing else is lost."""

from __future__ import annotations

import base64
import gzip
import html
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opslib import masking
from opslib.masking import WITHHELD, Masker, search, seen, spans, views

VALUE = "pa\\ss/w\"ör&d<5> +x%'q"
ROOT = Path(__file__).parents[1]
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


TOKEN = "acme_live_9fK2mQ7xZ4pL8wR1tV6yB3nH5jD0sG"


@pytest.mark.parametrize(
    "written",
    [
        "│ acme_live_9fK2mQ7xZ4 │\n│ pL8wR1tV6yB3nH5jD0sG │",
        "key: >-\n  acme_live_9fK2mQ\n  7xZ4pL8wR1tV6yB3nH5jD0sG",
        "acme_live_9fK2mQ7x\\\n    Z4pL8wR1tV6yB3nH5jD0sG",
        "'acme_live_9fK2mQ7xZ4' + \"pL8wR1tV6yB3nH5jD0sG\"",
        str(list(TOKEN)),
        "\\x61cme\\u005flive\\_9fK2mQ%37xZ4&#112;L8wR1tV6yB3nH5jD0sG",
        json.dumps("<b>acme_live_9f</b>K2mQ7xZ4\u200bpL8wR1tV6yB3nH5jD0sG"),
        "\x1b[1mac\x1b[0m\x1b]8;;http://x\x07me_live_9fK2mQ7xZ4pL8\x1b]8;;\x07wR1tV6yB3nH5jD0sG",
        base64.b64encode(zlib.compress(f'{{"token": "{TOKEN}"}}'.encode())).decode(),
        base64.encodebytes(gzip.compress(f"{'x' * 99}{TOKEN}{'y' * 99}{list(range(99))}".encode())).decode(),
        " ".join(TOKEN.encode().hex(" ", 2).split()),
        f"{list(TOKEN.encode())}",
        "\n".join(re.findall(".{1,10}", "".join(f"&#{ord(c)};" for c in TOKEN))),
        repr("acme_live_9f\u00adK2mQ7xZ4\u00a0pL8wR1tV6\u00adyB3nH5jD0sG"),
    ],
)
def test_a_value_is_masked_however_it_was_split_and_wrapped(written: str) -> None:
    """Terminals wrap, tables frame, editors fold, and each encodes what the one before it has made."""
    masked = Masker({"token": TOKEN}).mask(f"got {written} and went on")
    assert masked.startswith("got ") and masked.endswith(" and went on") and HIDDEN in masked
    assert "K2mQ" not in masked and "L8wR" not in masked and written[-9:-1] not in masked


def test_the_whole_of_a_base64_token_goes() -> None:
    """Its edges hold bits of the value, and the name that stands before it."""
    header = base64.b64encode(b"some-app:" + TOKEN.encode() + b"!").decode()
    assert Masker({"token": TOKEN}).mask(f"Basic {header}, sent") == f"Basic {HIDDEN}, sent"
    middle = f"(x/{header[4:-3]})"
    assert Masker({"token": TOKEN}).mask(middle) == f"({HIDDEN})"


@pytest.mark.parametrize("most", [14, 20, 30])
def test_a_token_that_was_cut_off_goes_as_far_as_it_is_shown(most: int) -> None:
    """Tables and log lines shorten long values; enough is left to be worth hiding."""
    masker = Masker({"token": TOKEN})
    assert masker.mask(f"{TOKEN[:most]}… rest") == f"{HIDDEN}… rest"
    assert masker.mask(f"rest …{TOKEN[-most:]}") == f"rest …{HIDDEN}"


def test_an_address_hides_its_password_but_neither_its_server_nor_its_kind() -> None:
    """A record in which no server is named helps nobody."""
    dsn = "postgresql://orders_app:s3cr%2Ft-P4ssw0rd@ep-cool-1234.eu-1.db.example.com:5432/orders_v2"
    masker = Masker({"dsn": dsn, "server": "ep-cool-1234.eu-1.db.example.com:5432"})
    text = "no postgresql://orders_app on eu-1.db.example.com, orders_v2"
    assert masker.mask(text) == text
    assert masker.mask("cannot resolve 's3cr/t-P4ssw0rd'") == "cannot resolve '[redacted:dsn]'"


def test_the_head_that_all_tokens_share_stays() -> None:
    """A public key of the same project begins as the secret one does."""
    head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZSIs"
    masker = Masker({"service": f"{head}InJvbGUiOiJzIn0.Q2x9mV7tLk3pZr8Wd1Hs5Yb0Nf6Gj4Ac"})
    public = f"{head}InJvbGUiOiJhIn0.Zx8Lk2Jh5Gf3Ds9Aq1Wp4Er7Ty6Ui0Op"
    assert masker.mask(public) == public


def test_case_is_ignored_only_where_the_value_is_still_told() -> None:
    """A short word in other letters is another word."""
    masker = Masker({"long": TOKEN, "short": "Falconers"})
    assert masker.mask(f"{TOKEN.upper()} {TOKEN.lower()}") == "[redacted:long] [redacted:long]"
    assert masker.mask("falconers Falconers FALCONERS Falcon ers") == (
        "falconers [redacted:short] FALCONERS Falcon ers"
    )


def test_columns_of_numbers_are_not_put_together() -> None:
    """Some pair of neighbours in a table always makes somebody's number."""
    rows = "<td>8471</td>\n<td>5293</td> 8471 5293, 84 71 52 93"
    masker = Masker({"pin": "84715293"})
    assert masker.mask(rows) == rows
    assert masker.mask("it is 84715293") == "it is [redacted:pin]"


def test_no_value_is_seen_where_there_is_none() -> None:
    """Code, runbooks and words of the project: every view of them, for values of every make."""
    values = {str(n): base64.b64encode(str(n).encode() * 9)[3:30].decode() for n in range(1000, 1012)}
    masker = Masker({**values, "token": TOKEN, "words": "correct horse battery staple", "pin": "90417736"})
    files = [path for folder in ("opslib", "docs", "notebooks") for path in (ROOT / folder).rglob("*.*")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in {".py", ".md", ".ipynb"}]
    noise = base64.b64encode(random.Random(7).randbytes(200_000)).decode()
    assert len(texts) > 100
    assert masker.mask_json([*texts, noise]) == [*texts, noise]


def test_a_clean_document_is_returned_as_it_is() -> None:
    """Looked at as a whole, and not copied."""
    document = {"cells": [{"outputs": [{"text": "nothing here", "n": [1.5, 84715293]}]}]}
    assert Masker({"token": TOKEN}).mask_json(document) is document
    assert Masker().mask_json(document) is document


def test_a_notebook_is_masked_in_every_corner() -> None:
    """Pictures as text, the state of widgets, metadata, sources, and names of things."""
    document = {
        "cells": [
            {"source": f"x = '{TOKEN}'", "outputs": [{"data": {"image/svg+xml": f"<!-- {TOKEN} -->"}}]}
        ],
        "metadata": {
            "widgets": {"state": {TOKEN: {"value": TOKEN}}},
            "papermill": {"parameters": {"t": TOKEN}},
        },
    }
    masker = Masker({"token": TOKEN})
    assert TOKEN not in json.dumps(masker.mask_json(document))
    assert masker.counts == {"token": 5}
    masker.mask_json(document)
    assert masker.counts == {"token": 10}


def test_one_text_does_not_go_on_in_the_next() -> None:
    """Two cells of a table are no value, nor does a bracket in one open a tag that the other closes."""
    masker = Masker({"token": TOKEN})
    assert masker.mask_json([TOKEN[:8], TOKEN[8:16]]) == [TOKEN[:8], TOKEN[8:16]]
    split = "\u200b".join([TOKEN[:5], TOKEN[5:10], TOKEN[10:15], TOKEN[15:]])
    assert masker.mask_json(["a < b", split, "c > d"]) == ["a < b", HIDDEN, "c > d"]
    assert masker.mask_json(["c > d", f"{split}!", "a < b"]) == ["c > d", f"{HIDDEN}!", "a < b"]


def test_a_stream_that_goes_on_is_looked_at_where_it_was_cut() -> None:
    """What was clean stays remembered, and a value that began in it is still seen."""
    masker = Masker({"token": "hunter2-X9"})
    first = ["a line\n" * 2000, "hunter"]
    assert masker.mask_pieces(first) == first
    assert masker.mask_pieces([*first, "2-X9", "\n"]) == ["a line\n" * 2000, HIDDEN, "", "\n"]
    assert masker.mask_pieces(first) == first


def test_what_cannot_be_searched_is_withheld_and_the_rest_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A masker that fails must not let the text pass, nor take the whole record with it."""
    honest = search.Search._found

    def failing(self: search.Search, text: bytes) -> Iterator[spans.Span]:
        if b"poison" in text:
            raise ValueError(text)
        return honest(self, text)

    monkeypatch.setattr(search.Search, "_found", failing)
    masker = Masker({"token": TOKEN})
    assert masker.mask(f"poison {TOKEN}") == WITHHELD
    assert masker.mask_pieces(["poi", "son", TOKEN]) == [WITHHELD, "", ""]
    assert masker.withheld == 2
    document = {"bad": ["poison"], "good": ["plain", TOKEN]}
    assert masker.mask_json(document) == {"bad": [WITHHELD], "good": ["plain", HIDDEN]}
    assert masker.summary() == {"masked": {"token": 1}, "found": {}, "withheld": 3, "unscanned": {}}


def test_a_document_too_deep_to_be_rebuilt_is_withheld() -> None:
    """Nothing of it gets out."""
    document: list[object] = [TOKEN]
    for _ in range(100_000):
        document = [document]
    masker = Masker({"token": TOKEN})
    assert masker.mask_json(document) == WITHHELD
    assert masker.withheld == 1


@pytest.mark.parametrize(
    "odd", ["\ud800", "\\U99999999", "&#99999999;", "\\ud83d\\ude00", "\0\x02\x7f", "%zz\\"]
)
def test_odd_characters_neither_break_the_search_nor_change(odd: str) -> None:
    """Kernels print whatever they like."""
    masker = Masker({"token": TOKEN, "smile": "ein \U0001f600 lacht"})
    assert masker.mask(f"{odd} {TOKEN}{odd}") == f"{odd} {HIDDEN}{odd}"
    assert masker.mask(json.dumps("ein \U0001f600 lacht")) == '"[redacted:smile]"'
    assert not masker.withheld


def test_bombs_are_not_blown_up() -> None:
    """A small text may say gigabytes; what stands behind it is looked at all the same."""
    bomb = base64.b64encode(zlib.compress(b"0" * 5_000_000))
    small = base64.b64encode(zlib.compress(f"{TOKEN}{'0' * 500_000}".encode()))
    text = b" ".join([bomb, *[small] * 50])
    assert max(len(view.data) for view in views.views(text)) < 2_000_000
    masked = Masker({"token": TOKEN}).mask(text.decode())
    assert masked.startswith(bomb.decode()) and masked.count(HIDDEN) == 50


def test_a_value_that_is_a_part_of_another_keeps_its_own_name() -> None:
    """The password of an address is named as the password, whichever was known first."""
    dsn = "postgresql://app:s3cr3t-P4ssw0rd-xyz@db.example.com/x"
    for values in (
        {"dsn": dsn, "password": "s3cr3t-P4ssw0rd-xyz"},
        {"password": "s3cr3t-P4ssw0rd-xyz", "dsn": dsn},
    ):
        masker = Masker(values)
        assert masker.mask("s3cr3t-P4ssw0rd-xyz") == masker.mask("s3cr3t-P4ssw0") == "[redacted:password]"
        assert masker.mask(dsn) == "[redacted:dsn]"


def test_escapes_are_undone_as_often_as_tools_nest() -> None:
    """JSON in JSON in a log line that is JSON, and an address that was quoted at each redirect."""
    written = quoted = VALUE
    for _ in range(3):
        written, quoted = json.dumps(written), quote(quoted, safe="")
    assert Masker({"token": VALUE}).mask(f"{quoted} {written}").count(HIDDEN) == 2


def test_base64_that_was_cut_within_a_character_is_still_read() -> None:
    """Tables shorten what they show, and know nothing of characters."""
    cut = base64.b64encode(f"{html.escape(VALUE)} für".encode()).decode()[:-3]
    assert Masker({"token": VALUE}).mask(f"{cut}…") == f"{HIDDEN}…"


def test_words_of_a_secret_are_no_secret() -> None:
    """Names of places often stand in the values that belong there."""
    masker = Masker({"key": "production-database-password-of-acme-7fQ2x9Lm4", "foreign": "日本語-acme-db"})
    text = "production-database-password on acme-db-of-acme, -acme-db"
    assert masker.mask(text) == text
    assert masker.mask("…of-acme-7fQ2x9Lm4") == "…[redacted:key]"


def test_a_value_that_begins_within_a_character_breaks_nothing() -> None:
    """As bytes of Latin-1 it ends like another character of UTF-8."""
    masker = Masker({"key": "¶-secret-7x9"})
    assert masker.mask("an ö-secret-7x9!") == "an [redacted:key]!"
    assert not masker.withheld


def test_a_private_key_hides_itself_and_not_the_public_one_that_its_file_holds() -> None:
    """The public one stands in plans and lists of people."""
    for _ in range(30):
        made = Ed25519PrivateKey.generate()
        private = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        masker = Masker({"key": private})
        assert masker.mask_json({"by": public}) == {"by": public}
        assert private.splitlines()[4] not in masker.mask(f"it was\n{private}")


SPLIT = {
    "letters of a terminal's other set": "\x1b(B\x1b[m",
    "a mark of a prompt": "\x02",
    "a title": "\x1bPtitle\x1b\\",
    "a link to a far place": f"\x1b]8;;http://x/{'y' * 900}\x07",
    "a tag with much to say": f"<i title='{'y' * 900}'></i>",
    "a reset": "\x1bc",
    "a script": "<script>pass()</script>",
}


@pytest.mark.parametrize("how", SPLIT)
def test_what_pages_and_terminals_do_not_show_splits_no_value(how: str) -> None:
    """Who reads the page reads the value whole."""
    written = SPLIT[how].join([TOKEN[:9], TOKEN[9:20], TOKEN[20:]])
    assert Masker({"token": TOKEN}).mask_json([f"so {written}.", "next"]) == [f"so {HIDDEN}.", "next"]


def test_letters_that_were_struck_twice_are_read_once() -> None:
    """As manuals write what is bold."""
    assert Masker({"token": TOKEN}).mask("".join(f"{c}\b{c}" for c in TOKEN)).startswith(HIDDEN)


def drawn(*chunks: tuple[bytes, bytes], after: bytes = b"") -> str:
    """Return a picture of one dot with some chunks in it, in base64."""
    whole = [(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])), *chunks]
    whole += [(b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    parts = [len(c).to_bytes(4) + k + c + zlib.crc32(k + c).to_bytes(4) for k, c in whole]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + after).decode()


SAID = TOKEN.encode()
WORDS: dict[str, tuple[bytes, bytes]] = {
    "plain": (b"tEXt", b"Title\0" + SAID),
    "compressed": (b"zTXt", b"Title\0\0" + zlib.compress(SAID)),
    "in a language": (b"iTXt", b"Title\0\0\0en\0Titel\0" + SAID),
    "in a language, compressed": (b"iTXt", b"Title\0\1\0en\0Titel\0" + zlib.compress(SAID)),
    "as a camera": (b"eXIf", b"MM\0*\xff" + SAID),
    "not to be read": (b"zTXt", b"Title\0\0no zlib at all"),
    "without an end": (b"iTXt", b"Title"),
}


@pytest.mark.parametrize("how", WORDS)
def test_a_picture_loses_the_words_that_tell_a_value_and_keeps_the_rest(how: str) -> None:
    """Nobody sees them on a page, and everybody has them."""
    masker = Masker({"token": TOKEN})
    kept = (b"tEXt", b"Software\0matplotlib")
    assert masker.mask_content("image/png", drawn(kept, WORDS[how])) == drawn(kept)
    assert masker.unscanned == {"image/png": 1} and masker.counts.total() == (
        TOKEN in repr(WORDS[how]) or "compressed" in how
    )


def test_pictures_within_html_are_looked_at_too_and_clean_ones_stay_as_they_are() -> None:
    """Tables of pictures are made so; what follows a picture's end is no picture."""
    masker = Masker({"token": TOKEN})
    clean, told = drawn(), drawn(after=SAID)
    page = '<img src="data:image/png;base64,{0}"><img src="data:image/jpeg;base64,{0}">'
    assert masker.mask_content("text/html", page.format(clean)) == page.format(clean)
    only = '<img src="data:image/png;base64,{}">'
    assert masker.mask_content("text/html", only.format(told)) == only.format(clean)
    assert masker.unscanned == {"image/png": 2, "image/jpeg": 1} and masker.counts == {"token": 1}
    assert masker.mask_content("image/svg+xml", "<svg/>") == "<svg/>"


def test_a_finished_document_is_masked_once_more_for_known_values_alone() -> None:
    """Who asked for a run is told on its page, even where that is an e-mail address."""
    masker = Masker({"token": TOKEN}, net=True)
    text = f"{TOKEN} asked by ada@lovelace.example.org"
    assert masker.mask_known(text) == f"{HIDDEN} asked by ada@lovelace.example.org"
    assert masker.counts == {"token": 1} and not masker.kinds


def test_a_masking_that_was_cut_off_is_counted_on() -> None:
    """A runner was killed, and another process seals what it left."""
    first, second = Masker({"token": TOKEN}), Masker()
    first.mask(TOKEN)
    first.mask_content("image/png", drawn())
    second.resume(first.summary())
    second.resume({})
    assert second.summary() == first.summary() and second.counts == {"token": 1}
