"""The second net: what has the shape of a key, or stands where a password stands, whoever's it is.

Each rule begins at a word that is searched for; so a text without such words costs one look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import BytesAhoCorasick

from opslib.masking.spans import PLACED
from opslib.masking.values import COMMON, telling

_START = rb"(?<![A-Za-z0-9])"
_END = rb"(?![A-Za-z0-9])"
_MIN_ASSIGNED = 8

Found = tuple[int, int, str]  # begin, end, kind


@dataclass(frozen=True, slots=True)
class Rule:
    """The shape of one kind of key.

    Attributes:
        kind: what stands in the key's place.
        words: lower-case beginnings, at which the shape is looked at.
        shape: matches from the word on; group `value`, where there is one, is what is masked.
    """

    kind: str
    words: tuple[bytes, ...]
    shape: re.Pattern[bytes]


def _rule(kind: str, words: str, shape: bytes, flags: int = 0) -> Rule:
    return Rule(kind, tuple(words.encode().split()), re.compile(_START + shape, flags))


_ASSIGNED = (
    rb"(?P<name>[\w-]{3,60}+)[\"'\\]{0,3}[ \t]*(?:=>|[:=])[ \t]*(?:(?:bearer|basic|token)[ \t]+)?"
    rb"(?P<quote>(?:\\?[\"'])?)(?P<value>[^\s\"'`<>,;&\\(){}\[\]\xff]+)(?![\w.]*[(\[])"
)
_RULES = (
    _rule("private-key", "-----begin", rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"
          rb"(?:(?!-----)[^\xff]){0,20000}(?:-----END [A-Z0-9 ]*PRIVATE KEY-----)?"),
    _rule("stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_",
          rb"(?:[rs]k_(?:live|test)_(?:51[A-Za-z0-9]{20,}|[A-Za-z0-9]{24})|whsec_[A-Za-z0-9+/]{24,})" + _END),
    _rule("clerk-key", "sk_live_ sk_test_", rb"sk_(?:live|test)_(?!51)[A-Za-z0-9]{25,}" + _END),
    _rule("openai-key", "sk-", rb"sk-(?!ant-)(?:[a-z]+-)?(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}"),
    _rule("anthropic-key", "sk-ant-", rb"sk-ant-[A-Za-z0-9_-]{20,}"),
    _rule("supabase-key", "sb_secret_ sbp_",
          rb"sb(?:_secret_[A-Za-z0-9_-]{20,}|p_(?:[a-z0-9]+_)?[a-f0-9]{40})"),
    _rule("jwt", "eyj", rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    _rule("sentry-dsn", "https://", rb"https://[0-9a-f]{32}(?::[0-9a-f]{32})?@[\w.-]+(?::\d+)?/(?:[\w-]+/)*\d+"),
    _rule("sentry-token", "sntry", rb"sntry[a-z]_[A-Za-z0-9+/=_-]{32,}"),
    _rule("aws-key", "akia asia", rb"A(?:KIA|SIA)[A-Z0-9]{16}" + _END),
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
          rb"(?:gh[opusr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
    _rule("slack-token", "xox xapp-", rb"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}"),
    _rule("slack-webhook", "hooks.slack.com/",
          rb"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<value>[A-Za-z0-9+/_-]{20,})"),
    _rule("vercel-token", "vcp_ vci_ vca_ vcr_ vck_", rb"vc[aciprk]_[A-Za-z0-9]{20,}"),
    _rule("neon-key", "napi_ npg_", rb"(?:napi_[a-z0-9]{32,}|npg_[A-Za-z0-9]{10,})"),
    _rule("doppler-token", "dp.",
          rb"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,}"),
    _rule("posthog-key", "phx_", rb"phx_[A-Za-z0-9]{20,}"),
    _rule("google-key", "aiza", rb"AIza[A-Za-z0-9_-]{35}"),
    _rule("railway-token", "railway",
          rb"railway[\w .-]{0,40}token[\"'\\]{0,3}[ \t]*[:=][ \t]*\\?[\"']?"
          rb"(?P<value>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE),
)  # fmt: skip
_URL_PASSWORD = Rule("url-password", (b"://",), re.compile(
    rb"://[^\s/@:\[\"'<>]{0,256}:(?!\d{1,5}/)"
    # Whoever writes `@` or `/` in a password unescaped gets errors that show it.
    rb"(?P<value>[^\s/\"'<>]{1,300}(?=@[\w\[%])|[^\s@\"'<>]{1,300}(?=@[\w\[%]))"))  # fmt: skip
_SECRET_WORDS = (
    b"password", b"passwd", b"pwd", b"secret", b"token", b"api_key", b"api-key", b"apikey", b"authorization",
    b"access_key", b"private_key", b"credential", b"auth_key",
)  # fmt: skip
_NAMED = Rule(PLACED, _SECRET_WORDS, re.compile(_ASSIGNED, re.IGNORECASE))
_ABOUT = re.compile(
    rb".*[_-](?:ids?|names?|type|at|expires\w*|expiry|count|ur[li]|length|label|policy|version|encryption"
    rb"|method|ref(?:erence)?)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    rb"(?:[*x._-]|\xe2\x80[\xa2\xa6])+|[\${(].*|%.*%|env:.*|file:.*|doppler:.*|keyring:.*|your[-_].*"
    rb"|\d{4}-\d\d-\d\d.*|.*example.*|.*\[redacted:.*",
    re.IGNORECASE,
)


def shapes(data: bytes) -> Iterator[Found]:
    """Yield what looks like a key or a password in a text."""
    folded = data.lower()
    automaton, rules = _searched()
    for index, begin, _ in automaton.find_matches_as_indexes(folded, overlapping=True):
        for rule in rules[index]:
            match = rule.shape.match(data, begin)
            if match and _counts(rule, match):
                yield (*match.span("value" if "value" in rule.shape.groupindex else 0), rule.kind)


@cache
def _searched() -> tuple[BytesAhoCorasick, list[list[Rule]]]:
    by_word: dict[bytes, list[Rule]] = {}
    for rule in (*_RULES, _URL_PASSWORD, _NAMED):
        for word in rule.words:
            by_word.setdefault(word, []).append(rule)
    return BytesAhoCorasick(list(by_word)), list(by_word.values())


def _counts(rule: Rule, match: re.Match[bytes]) -> bool:
    """Tell a password from what only stands in its place: names, code, stars."""
    if rule not in (_URL_PASSWORD, _NAMED):
        return True
    value = match["value"]
    if _PLACEHOLDER.fullmatch(value) or value.decode("utf-8", "replace").casefold() in COMMON:
        return False
    if rule is _URL_PASSWORD:
        return True
    if _ABOUT.fullmatch(match["name"]):
        return False
    return len(value) >= _MIN_ASSIGNED and telling(value.decode("utf-8", "replace"))
