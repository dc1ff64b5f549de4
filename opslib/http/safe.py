"""The few requests that are sent with POST and yet only read. Everything else that is not GET or HEAD
needs an opening of the gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_GRAPHQL_KEYS = {"query", "variables", "operationName"}
_HOGQL_KEYS = {"query", "name", "refresh"}
_LISTING_KEYS = {"prefix", "limit", "cursor", "with_delimiter", "sortBy"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r'(?P<skip>[\s,\ufeff]+|#[^\n\r]*)|(?P<text>"""(?:\\"""|\\(?!""")|[^"\\]|"(?!""))*"""|"(?:\\.|[^"\\\n\r])*")'
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d[\w.+-]*)|(?P<mark>\.\.\.|[!$&():=@\[\]{|}])",
    re.ASCII,
)


def graphql_reads(body: Any) -> bool:
    """Tell whether a GraphQL request holds nothing but queries.

    Stricter than the language: the words `mutation` and `subscription` may not occur at all outside of
    texts, and stored queries (named by their hash) are not taken.
    """
    if not isinstance(body, Mapping) or not set(body) <= _GRAPHQL_KEYS:
        return False
    document = body.get("query")
    if not isinstance(document, str):
        return False
    tokens = list(_tokens(document))
    if None in tokens or {"mutation", "subscription"} & set(tokens):
        return False
    begins = list(_definitions(tokens))
    return bool(set(begins) & {"query", "{"}) and set(begins) <= {"query", "fragment", "{"}


def hogql_reads(body: Any) -> bool:
    """Tell whether a request to PostHog is one plain HogQL query, which cannot write."""
    if not isinstance(body, Mapping) or not set(body) <= _HOGQL_KEYS:
        return False
    query = body.get("query")
    if not isinstance(query, Mapping) or query.get("kind") != "HogQLQuery":
        return False
    return re.match(r"\s*(select|with)\b", str(query.get("query", "")), re.IGNORECASE) is not None


def listing_reads(body: Any) -> bool:
    """Tell whether a request to Supabase Storage asks for one page of a listing."""
    return isinstance(body, Mapping) and set(body) <= _LISTING_KEYS


# Client's name -> path (as a whole) -> what the body must be.
SAFE: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "railway": {r"": graphql_reads},
    "posthog": {r"/api/projects/[\w@-]+/query/": hogql_reads},
    "supabase-storage": {r"/object/list-v2/[\w%-][\w%\x2e-]{0,99}": listing_reads},
}


def reads(client: str, path: str, body: Any) -> bool:
    """Tell whether a POST is known only to read.

    Args:
        client: the client's name.
        path: as it is appended to the client's address.
        body: the JSON to send.
    """
    return any(re.fullmatch(known, path) and fits(body) for known, fits in SAFE.get(client, {}).items())


def _tokens(document: str) -> Iterator[str | None]:
    """Yield the tokens of a GraphQL document; None for what is none."""
    place = 0
    while place < len(document):
        found = _TOKEN.match(document, place)
        if found is None:
            yield None
            return
        place = found.end()
        if found.lastgroup != "skip":
            # A text may hold any word: only that there is one counts.
            yield '""' if found.lastgroup == "text" else found[0]


def _definitions(tokens: list[str | None]) -> Iterator[str]:
    """Yield the token that each definition begins with; one that never ends yields ''."""
    open_: list[str] = []
    within = False
    for token in tokens:
        if not within:
            yield token or ""
            within = True
        if token in _CLOSING:
            open_.append(_CLOSING[token])
        elif token in _CLOSING.values() and (not open_ or open_.pop() != token):
            yield ""
            return
        elif token == "}" and not open_:
            within = False
    if within or open_:
        yield ""
