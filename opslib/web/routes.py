"""From an address to a page: what is asked for is looked up in the index, and nothing else is a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, unquote

from opslib.archive import choosing, disposed, reading
from opslib.archive.index import Index
from opslib.errors import OpsError, UnknownName, UsageError
from opslib.runner import crash
from opslib.runner.page import POLICY as KEPT_POLICY
from opslib.show.words import SIGN
from opslib.verdict import Status
from opslib.web import compared, frame, listing, run
from opslib.web.library import Library

HTML, CSS = "text/html; charset=utf-8", "text/css; charset=utf-8"
REPORT = "run.html"
SOON = 2  # seconds after which a page that had to wait is asked for again
_MOST_FIELDS = 40
_CHOICES = {"verdict": choosing.VERDICTS, "trigger": choosing.TRIGGERS}
# A kept report brings its own styles; even if it had a script, it would run nowhere.
_SEALED = f"sandbox; {KEPT_POLICY}; frame-ancestors 'none'"


@dataclass(frozen=True)
class Answer:
    """What a browser is sent.

    Args:
        status: of HTTP.
        content: the body.
        kind: its media type.
        policy: its Content-Security-Policy.
        headers: further ones.
    """

    status: int
    content: bytes
    kind: str = HTML
    policy: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def answer(library: Library, target: str) -> Answer:
    """Return the answer to a request; every error is a page with a next step.

    Args:
        library: what is asked for.
        target: path and query, as they stand in the request.
    """
    path, _, query = target.partition("?")
    if path == frame.STYLE:
        return Answer(200, frame.style().encode(), CSS)
    try:
        index = library.index()
        if index is None:
            return _waiting(library)
        return _page(library, index, path, query)
    except UnknownName as error:
        return problem(404, error.message, error.hint)
    except UsageError as error:
        return problem(400, error.message, error.hint)
    except OpsError as error:
        return problem(500, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - the last resort; it is written down and told
        return problem(500, *crash.told(error))


def problem(status: int, message: str, hint: str = "") -> Answer:
    """Return a page that says what is wrong and what to do.

    Args:
        status: of HTTP.
        message: what is wrong, plain text.
        hint: the next step, plain text.
    """
    step = f"<p>→ {escape(hint)}</p>" if hint else ""
    body = (
        '<main class="card unknown"><div class="verdict">'
        f'<span class="sign" aria-hidden="true">{SIGN[Status.UNKNOWN]}</span>'
        f'<h1>{escape(message)}</h1></div><div class="told">{step}'
        f"<p>{frame.link('/', 'All runs')}</p></div></main>"
    )
    return Answer(status, frame.document(message[:80], body).encode("utf-8", "replace"))


def _page(library: Library, index: Index, path: str, query: str) -> Answer:
    if path == "/":
        return _shown(listing.page(index, _asked(query, listing.ASKED)))
    if path == "/diff":
        return _shown(compared.two(library, index, _asked(query, compared.SIDES)))
    if path == "/procedure":
        return _shown(compared.over_time(index, _asked(query, (*compared.TARGET, "key"))))
    name, _, part = path.removeprefix(frame.RUNS).partition("/")
    if not path.startswith(frame.RUNS) or f"/{part}" not in ("/", run.REPORT, run.NOTEBOOK):
        raise UnknownName("there is no such page", hint="all runs are on the first one")
    return _run(library, index, unquote(name, errors="replace"), f"/{part}" if part else "")


def _run(library: Library, index: Index, name: str, part: str) -> Answer:
    known = index.get(name)
    if known["run_id"] != name:
        place = frame.run_address(known["run_id"], part)
        return Answer(302, b"", headers=(("Location", place),))
    if not part:
        return _shown(run.page(library, index, known))
    disposed.must_be_there(known)
    if part == run.REPORT:
        return Answer(200, _file(library.file(known, REPORT), "report"), policy=_SEALED)
    headers = (("Content-Disposition", f'attachment; filename="{_plain(name)}.ipynb"'),)
    content = _file(library.file(known, reading.NOTEBOOK), "notebook")
    return Answer(200, content, "application/x-ipynb+json", _SEALED, headers)


def _file(content: bytes, what: str) -> bytes:
    if not content:
        raise UnknownName(f"the {what} of this run is not there", hint="`opslib verify` says what is missing")
    return content


def _plain(name: str) -> str:
    return "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "-_"))


def _asked(query: str, names: Sequence[str]) -> Mapping[str, str]:
    """Return what an address asks for.

    Raises:
        UsageError: it asks for something that there is not: leaving that out would show too much.
    """
    try:
        given = dict(parse_qsl(query, errors="replace", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise UsageError("the address asks for too much", hint="begin with all runs") from None
    for name, value in given.items():
        if name not in names:
            raise UsageError(f"there is no filter {name!r}", hint=f"there is {', '.join(names)}")
        if value not in _CHOICES.get(name, (value,)):
            raise UsageError(f"there is no {name} {value!r}", hint=f"there is {', '.join(_CHOICES[name])}")
    return given


def _shown(page: str) -> Answer:
    return Answer(200, page.encode("utf-8", "replace"))


def _waiting(library: Library) -> Answer:
    body = (
        '<main class="card unknown" aria-live="polite"><div class="verdict">'
        f'<span class="sign" aria-hidden="true">{SIGN[Status.UNKNOWN]}</span>'
        '<h1>The index is being made anew</h1></div><div class="told"><p>All records of'
        f" {escape(str(library.archive))} are read for it, once. This page asks again by itself.</p>"
        "</div></main>"
    )
    page = frame.document("The index is being made anew", body, again=SOON)
    return Answer(503, page.encode("utf-8", "replace"), headers=(("Retry-After", str(SOON)),))
