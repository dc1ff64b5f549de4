"""Whether a file of SQL can be run whole or not at all: inside one transaction, as it stands."""

from __future__ import annotations

import re

# What a semicolon or a word means nothing in: comments, texts, names in quotes, bodies of functions.
_ASIDE = re.compile(
    r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1",
    re.DOTALL,
)
_BODY = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)
_BLOCK = re.compile(r"\b(?:case|end)\b", re.IGNORECASE)
_TRANSACTION = ("begin", "start", "commit", "end", "rollback", "abort", "prepare", "savepoint", "release")
_ALONE = ("vacuum", "cluster", "checkpoint")


def against(text: str) -> str:
    """Return why a file cannot be run inside one transaction, or "".

    Args:
        text: the whole file.
    """
    bare = _ASIDE.sub(lambda found: " " if found[0].startswith(("--", "/*")) else " x ", text)
    bare = _without_bodies(bare)
    statements = [words for part in bare.split(";") if (words := part.lower().split())]
    if not statements:
        return "it holds no statement"
    if re.search(r"^\s*\\", bare, re.MULTILINE):
        return "it holds commands of psql, which no server knows"
    reasons = (reason for words in statements if (reason := _alone(words)))
    return next(reasons, "")


def _without_bodies(text: str) -> str:
    """Leave out what stands between BEGIN ATOMIC and its END: statements of a function, none of the file."""
    begun = _BODY.search(text)
    if begun is None:
        return text
    depth = 1
    for word in _BLOCK.finditer(text, begun.end()):
        depth += 1 if word[0].lower() == "case" else -1
        if not depth:
            return f"{text[: begun.start()]} x {_without_bodies(text[word.end() :])}"
    return text


def _alone(words: list[str]) -> str:
    """Return why one statement cannot stand in a transaction of ours."""
    first = words[0]
    if first in _TRANSACTION:
        return f"it has a {first.upper()} of its own, so it could stop half way"
    if (
        first in _ALONE
        or ("concurrently" in words and first != "refresh")
        or words[:2] in (["alter", "system"], ["create", "database"])
    ):
        return f"{' '.join(words[:3]).upper()} cannot run in a transaction: apply it by itself"
    if first == "copy" and "stdin" in words:
        return "it copies rows that stand in the file, as only psql does"
    return ""
