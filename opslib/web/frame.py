"""What all pages have in common: the frame, links, moments, and what a browser may do with them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from types import MappingProxyType
from urllib.parse import quote, urlencode

from opslib.runner.card import clock

STYLE = "/style.css"
RUNS = "/runs/"
_SHEETS = (("opslib.show", "show.css"), ("opslib.runner", "page.css"), ("opslib.web", "web.css"))
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%231a7f37'/%3E"
    "%3Cpath d='M4 8.5l3 3 5-7' fill='none' stroke='white' stroke-width='2'/%3E%3C/svg%3E"
)


@cache
def policy() -> str:
    """Return what a browser may do with a page: load its one sheet, run its one script, ask only us."""
    digest = base64.b64encode(hashlib.sha256(_local().encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'self'; style-src-attr 'unsafe-inline';"
        " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@cache
def style() -> str:
    """Return the style sheet of all pages."""
    return "".join(_text(package, name) for package, name in _SHEETS)


def document(title: str, body: str, *, words: str = "", again: int = 0) -> str:
    """Return a whole page.

    Args:
        title: plain text.
        body: HTML that is safe already.
        words: what was searched for.
        again: after how many seconds the browser asks again; 0 for never.
    """
    refresh = f'<meta http-equiv="refresh" content="{again}">' if again else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">{refresh}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="{_ICON}"><link rel="stylesheet" href="{STYLE}"></head>
<body><nav class="top" aria-label="Archive"><a class="home" href="/">All runs</a>
<form action="/" role="search"><input type="search" name="words" value="{escape(words)}"
 placeholder="Search findings and outputs" aria-label="Search findings, causes and outputs" required>
<button>Search</button></form></nav>
{body}
<p class="zone quiet">Times are UTC.</p>
<script>{_local()}</script></body></html>
"""


def link(path: str, words: str, query: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a link.

    Args:
        path: of the page.
        words: plain text.
        query: what it asks for; what is empty is left out.
    """
    return f'<a href="{escape(address(path, query))}">{escape(words)}</a>'


def address(path: str, query: Mapping[str, str]) -> str:
    """Return the address of a page, with what it asks for."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def run_address(run_id: str, part: str = "") -> str:
    """Return the address of a run's page, or of a part of it."""
    return f"{RUNS}{quote(run_id, safe='')}{part}"


def moment(stamp: str) -> str:
    """Return a moment (RFC 3339), which the browser shows in the zone of whoever reads it."""
    return f'<time datetime="{escape(stamp)}">{escape(clock(stamp))}</time>'


@cache
def _local() -> str:
    return _text("opslib.web", "local.js")


def _text(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
