"""What is searched of a run, and how a person's words are looked for in it.

A person's words never become syntax: each is quoted, so that a pasted error message with quotes,
brackets or stars is looked for as it stands.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opslib.errors import UsageError

COLUMNS = ("cause", "findings", "output")
BEGIN, END = "\x02", "\x03"  # around a hit; what is searched has no such characters
MOST_OUTPUT = 20_000  # characters of a run's outputs that are searched
_FINDING = ("status", "check", "subject", "observed", "limit", "expected", "why")
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_UNSEEN = re.compile(r"<(script|style|svg)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_LETTERS = ("L", "N", "Co")  # categories of what the index takes for a part of a word

Json = Mapping[str, Any]


def searched(document: Json, notebook: Json) -> dict[str, str]:
    """Return the texts of a run by column: causes, findings, and what its notebook shows.

    Args:
        document: what the index keeps of the run.
        notebook: the executed notebook, nbformat 4.
    """
    causes = document.get("causes") or [cause for cause in [document.get("cause")] if cause]
    findings = (" ".join(str(row.get(name) or "") for name in _FINDING) for row in document["findings"])
    shown = plain("\n".join(_shown(notebook)))[:MOST_OUTPUT]
    told = "\n".join(f"{cause['id']} {cause['text']}" for cause in causes)
    return {"cause": plain(told), "findings": plain("\n".join(findings)), "output": shown}


def plain(text: str) -> str:
    """Return text without colours and control characters, as it can be stored anywhere."""
    return bindable(_CONTROL.sub("", _COLOUR.sub("", text)))


def bindable(text: str) -> str:
    """Return text that SQLite takes: half characters, as broken arguments have them, become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def mark(name: str, value: str) -> str:
    """Return the word that stands for a filtered value; it holds nothing that a tokenizer would change."""
    return f"m{hashlib.sha256(f'{name}={value}'.encode()).hexdigest()[:16]}0"


def query(words: Iterable[str], kind: Mapping[str, str]) -> str:
    """Return the full-text query for a person's words, all of which must be there.

    Args:
        words: one word or phrase each; the words of a phrase must follow one another.
        kind: filtered values.

    Raises:
        UsageError: there is no letter and no digit in them.
    """
    phrases = [_quoted(word) for word in words if any(map(_is_letter, word))]
    if not phrases:
        raise UsageError(
            "what is to be searched for? there is no letter and no digit in it",
            hint='e.g. opslib search "too many clients"',
        )
    marks = [f'marks : "{mark(name, value)}"' for name, value in kind.items()]
    return " AND ".join([f"{{{' '.join(COLUMNS)}}} : ({' AND '.join(phrases)})", *marks])


def _quoted(word: str) -> str:
    inside = plain(word).replace('"', '""')
    return f'"{inside}"'


def _is_letter(letter: str) -> bool:
    return unicodedata.category(letter).startswith(_LETTERS)


def _shown(notebook: Json) -> Iterator[str]:
    for cell in notebook.get("cells") or ():
        for item in cell.get("outputs") or ():
            yield _output(item)


def _output(item: Json) -> str:
    if item.get("output_type") == "stream":
        return _joined(item.get("text"))
    if item.get("output_type") == "error":
        return f"{item.get('ename', '')}: {item.get('evalue', '')}"
    data = item.get("data") or {}
    for kind in ("text/plain", "text/markdown"):
        if data.get(kind):
            return _joined(data[kind])
    return html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", _joined(data.get("text/html")))))


def _joined(text: Any) -> str:
    """Return text that nbformat keeps whole or as a list of lines."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")
