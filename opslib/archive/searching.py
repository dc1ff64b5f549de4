"""Full-text search: the statement, and what was found as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opslib.archive import texts
from opslib.archive.asking import Filters

_AROUND = 18  # words of a snippet


@dataclass(frozen=True)
class Hit:
    """A run in which the words were found.

    Args:
        document: what the index keeps of the run.
        where: `cause`, `findings` or `output`: the first of them in which a word stands.
        snippet: the text around it, in one line.
        marked: (begin, end) of each word that was looked for, as positions in the snippet.
    """

    document: Mapping[str, Any]
    where: str
    snippet: str
    marked: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it for `--json`: who, when, what, and where the words stand."""
        names = ("run_id", "procedure", "system", "environment", "verdict", "cause", "started_at", "record")
        found = {name: self.document[name] for name in names}
        return {**found, "where": self.where, "snippet": self.snippet, "marked": [*map(list, self.marked)]}


def statement(words: Sequence[str], filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the statement that finds folder, document and snippets of runs, and its values but `:limit`.

    Raises:
        UsageError: there is nothing to be looked for in the words.
    """
    conditions = ["words match :query", *filters.within("words.rowid")]
    snippets = ", ".join(
        f"snippet(words, {number}, '{texts.BEGIN}', '{texts.END}', '…', {_AROUND})"
        for number in range(len(texts.COLUMNS))
    )
    command = (
        f"select folder, document, {snippets} from words join run on run.id = words.rowid"
        f" where {' and '.join(conditions)} order by words.rowid desc limit :limit"
    )
    return command, {"query": texts.query(words, filters.kind), **filters.bounds}


def hit(document: Mapping[str, Any], snippets: Sequence[str]) -> Hit:
    """Return what was found in one run.

    Args:
        document: what the index keeps of the run.
        snippets: one for each searched column.
    """
    found = zip(texts.COLUMNS, snippets, strict=True)
    where, snippet = next((pair for pair in found if texts.BEGIN in pair[1]), (texts.COLUMNS[0], ""))
    return Hit(document, where, *_marked(" ".join(snippet.split())))


def _marked(snippet: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Take the marks out of a snippet and return where they were."""
    first, *parts = snippet.split(texts.BEGIN)
    text, spans = first, []
    for part in parts:
        word, _, rest = part.partition(texts.END)
        spans.append((len(text), len(text) + len(word)))
        text += word + rest
    return text, tuple(spans)
