"""Turn a notebook's cells and outputs into HTML that can do nothing but be read.

Outputs come from whatever a notebook printed, so they are hostile until shown otherwise: HTML loses
scripts, styles, forms, frames, handlers and foreign addresses; pictures become data URIs; terminal
colours go; and what is very large is cut, with a sentence that says so.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from opslib.runner.request import ERROR_TAG

TEXT_LIMIT = 60_000
HTML_LIMIT = 400_000
IMAGE_LIMIT = 4_000_000
CODE_LIMIT = 40_000
NOTEBOOK_LIMIT = 12_000_000


Json = Mapping[str, Any]

_TAGS = frozenset(
    {
        "a",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figure",
    }
    | {
        "figcaption",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
    }
    | {"pre", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td"}
    | {"tfoot", "th", "thead", "time", "tr", "u", "ul", "var"}
)
_ATTRIBUTES = {
    "*": {"class", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
    "time": {"datetime"},
}
_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+")
_TAG = re.compile(r"<[^>]*>")
_HEADING = re.compile(r"<(/?)h([1-5])(?=[ >])")
_ANSI = re.compile(
    r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?"  # titles, links, device strings
    r"|\[[0-?]*[ -/]*[@-~]|[@-Z\\^_]|[ -/]+[0-~])"  # colours, cursor, character sets
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def notebook(document: Json) -> str:
    """Return all cells of a notebook as HTML.

    Args:
        document: a notebook in nbformat 4, as a dict or as nbformat's own object.
    """
    parts: list[str] = []
    spent = 0
    number = 0
    for cell in document.get("cells", []):
        if ERROR_TAG in ((cell.get("metadata") or {}).get("tags") or ()):
            continue  # the head of the page says it, and the cell itself does
        number += cell.get("cell_type") == "code"
        part = _cell(cell, number)
        spent += len(part)
        if spent > NOTEBOOK_LIMIT:
            parts.append(_quiet("The rest is too large for a page; all of it is in run.ipynb."))
            break
        parts.append(part)
    return "\n".join(parts)


def clean(source: str) -> str:
    """Return HTML that keeps tables, headings and words, and nothing that acts or loads."""
    kept = nh3.clean(
        source,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        clean_content_tags={"script", "style", "iframe", "svg", "math", "template", "noscript", "title"},
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer",
    )
    # The page has its own first heading, so those inside move down by one.
    return _HEADING.sub(lambda m: f"<{m[1]}h{int(m[2]) + 1}", kept)


def plain(text: str) -> str:
    """Return text without terminal colours and control characters; overwritten lines as they ended."""
    lines = _ANSI.sub("", text).replace("\r\n", "\n").split("\n")
    return _CONTROL.sub("", "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines))


def shortened(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, cut in the middle with a note of what is missing."""
    if len(text) <= limit:
        return text
    half = limit // 2
    note = f"… {len(text) - 2 * half:,} characters left out here; all of it is in run.ipynb …"
    return f"{text[:half]}\n\n{note.replace(',', ' ')}\n\n{text[-half:]}"


def output(item: Json, number: int = 0) -> str:
    """Return one output of a code cell as HTML.

    Args:
        item: stream, display_data, execute_result or error, in nbformat 4.
        number: which code cell it came from, counted from 1, for words that stand in for a picture.
    """
    kind = item.get("output_type")
    if kind == "stream":
        name = "stderr" if item.get("name") == "stderr" else "stdout"
        return _pre(_text(item.get("text")), name)
    if kind == "error":
        return _error(item)
    return _bundle(item.get("data") or {}, number)


def _cell(cell: Json, number: int) -> str:
    source = _text(cell.get("source"))
    kind = cell.get("cell_type")
    if kind == "markdown":
        return f'<section class="words">{clean(_markdown.render(shortened(source, HTML_LIMIT)))}</section>'
    if kind != "code":
        return _pre(source, "raw") if source.strip() else ""
    outputs = "".join(f'<div class="output">{output(item, number)}</div>' for item in cell.get("outputs", []))
    return (
        f'<section class="step">{_code(cell, source, number)}{outputs}</section>' if source or outputs else ""
    )


def _code(cell: Json, source: str, number: int) -> str:
    if not source.strip():
        return ""
    body = _coloured(shortened(source, CODE_LIMIT))
    return f'<details class="code"><summary>{_label(cell, number)}</summary><pre>{body}</pre></details>'


@lru_cache(maxsize=256)
def _coloured(source: str) -> str:
    """Return code as HTML; in a suite, one notebook comes again and again."""
    return str(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True, classprefix="py-")))


def _label(cell: Json, number: int) -> str:
    metadata = cell.get("metadata") or {}
    tags = metadata.get("tags") or []
    words = f"Code of cell {number}"
    if "injected-parameters" in tags:
        words = "Parameters of this run"
    elif "parameters" in tags:
        words = "Parameters and their defaults"
    seconds = (metadata.get("papermill") or {}).get("duration")
    if cell.get("execution_count") is None and not cell.get("outputs"):
        return f"{words} · not run"
    return f"{words} · {seconds:.1f} s" if isinstance(seconds, int | float) and seconds >= 0.05 else words


def _bundle(data: Json, number: int) -> str:
    alt = _alternative(data, number)
    for mime, show in _SHOWN:
        if data.get(mime) and (shown := show(mime, data[mime], alt)):
            return shown
    kinds = ", ".join(sorted(map(str, data))[:3]) or "unknown kind"
    return _quiet(f"An output that a page cannot show ({kinds}); it is in run.ipynb.")


def _html(_mime: str, value: Any, _alt: str) -> str:
    source = _text(value)
    cut = len(source) > HTML_LIMIT
    body = clean(source[:HTML_LIMIT])
    note = _quiet("Cut here for its size; all of it is in run.ipynb.") if cut else ""
    # What consisted of scripts only is empty now: another form of the same output may still speak.
    return f'<div class="scroll">{body}</div>{note}' if "<img " in body or _TAG.sub("", body).strip() else ""


def _words(_mime: str, value: Any, _alt: str) -> str:
    return f'<div class="words">{clean(_markdown.render(shortened(_text(value), HTML_LIMIT)))}</div>'


def _svg(_mime: str, value: Any, alt: str) -> str:
    # As the source of an image a drawing cannot run scripts or load anything.
    return _image("image/svg+xml", base64.b64encode(_text(value).encode()).decode(), alt)


def _image(mime: str, value: Any, alt: str) -> str:
    content = "".join(_text(value).split())
    if len(content) > IMAGE_LIMIT:
        return _quiet(
            f"A picture too large for a page ({len(content) * 3 // 4_000_000} MB); it is in run.ipynb."
        )
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return f'<img alt="{html.escape(alt)}" src="data:{mime};base64,{content}">'


def _json(_mime: str, value: Any, _alt: str) -> str:
    return _pre(json.dumps(value, indent=1, ensure_ascii=False, default=str), "stdout")


def _plain(_mime: str, value: Any, _alt: str) -> str:
    return _pre(_text(value), "stdout")


_SHOWN: tuple[tuple[str, Callable[[str, Any, str], str]], ...] = (
    ("text/html", _html),
    ("text/markdown", _words),
    ("image/svg+xml", _svg),
    ("image/png", _image),
    ("image/jpeg", _image),
    ("image/gif", _image),
    ("image/webp", _image),
    ("application/json", _json),
    ("text/plain", _plain),
)


def _error(item: Json) -> str:
    name, value = plain(str(item.get("ename", ""))), plain(str(item.get("evalue", "")))
    trace = plain("\n".join(map(str, item.get("traceback") or [])))
    told = f"{html.escape(name)}</b> {html.escape(shortened(value, 2000))}"
    folded = f'<details class="code"><summary>Where it broke</summary>{_pre(trace, "raw")}</details>'
    return f'<div class="broke"><p><b>✖ {told}</p>{folded if trace.count(chr(10)) > 2 else ""}</div>'


def _alternative(data: Json, number: int) -> str:
    words = " ".join(_text(data.get("text/plain"))[:600].split())
    return shortened(words, 400) if words and not words.startswith("<") else f"picture made by cell {number}"


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(word for word in value.split() if word.startswith("opslib-")) or None
    if name == "src":
        return value if tag == "img" and _PICTURE.fullmatch(value) else None
    if name == "href":
        return value if _LINK.match(value) else None
    return value


def _pre(text: str, kind: str) -> str:
    shown = html.escape(shortened(plain(text), TEXT_LIMIT))
    return f'<pre class="{kind}">{shown}</pre>' if shown.strip() else ""


def _quiet(words: str) -> str:
    return f'<p class="quiet">{html.escape(words)}</p>'


def _text(value: Any) -> str:
    """Return text that nbformat keeps whole or as a list of lines."""
    if isinstance(value, list):
        return "".join(map(str, value))
    return "" if value is None else str(value)
