"""The archive's pages in a real browser: on a phone, in the dark, by keyboard, and full of poison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from opslib.archive.notes import Notes
from opslib.web import compared
from opslib.web.server import Server
from tests import kept, pages
from tests.browsing import HOUR, ILL, WELL, every_page, fill, served
from tests.kept import keep
from tests.test_page import CONTRAST, INLINE, POISON, browser

__all__ = ["browser"]
pytestmark = pytest.mark.browser
FIRST, SECOND = "0-poison", "1-poison"
READ = {
    "/": (".verdict-cell b", ".at", ".when", ".by small", ".chip.warning", ".top .home", "summary"),
    f"/runs/{ILL}": (".seal p", ".seal b", ".button", "h2", ".pairs th", ".notes small", ".zone"),
    f"/diff?before={WELL}&after={ILL}": (".side b", ".side h2", ".changes td:nth-child(2)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of the module's own, with the keys of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def server(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Five runs, two of them sealed."""
    folder = tmp_path_factory.mktemp("archive")
    fill(folder)
    with served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def poisoned(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two runs with every payload in every place that takes words from elsewhere."""
    folder = tmp_path_factory.mktemp("poisoned")
    columns = dict.fromkeys(("observed", "limit", "expected", "why", "next"), INLINE)
    for number, run_id in enumerate((FIRST, SECOND)):
        rows = [
            kept.found(f"{INLINE} {status}", status, subject=INLINE, **columns)
            for status in ("critical", "ok", "warning")
        ]
        rows.append(kept.found(INLINE, "critical", subject=INLINE, observed=f"{number} {INLINE}", limit="1"))
        keep(
            folder, run_id, (2 - number) * HOUR, verdict="critical", findings=rows,
            procedure=INLINE, system=INLINE, environment=INLINE, actor=INLINE, trigger=INLINE, commit=INLINE,
            sha256=f"{INLINE}{number}", host=INLINE, parameters={INLINE: INLINE, "number": number},
            next=[{"procedure": INLINE, "parameters": {INLINE: INLINE}, "why": INLINE}], error=INLINE,
            changed=[{"target": INLINE, "state": f"{INLINE}{number}"}],
            plan={"digest": INLINE, "title": INLINE, "expires": INLINE, "targets": [INLINE]},
            cells=[pages.code(POISON, pages.stream(POISON))], page=POISON, sealed=True,
            **kept.cause(INLINE, f"{INLINE} {number * 'again'}"),
        )  # fmt: skip
    Notes(folder).add(SECOND, INLINE, POISON)
    (folder / "notes" / SECOND / "0.json").write_text(POISON)
    bad = keep(folder, f"9-{quote(INLINE, safe=' <>=')[:80]}", 3 * HOUR)
    (bad / "run.json").write_text(POISON)
    (folder / "index.sqlite").unlink()
    with served(folder) as found:
        yield found


def left(tab: Any, server: Server, url: str, failure: str = "") -> None:
    """Write down a request that went anywhere but to the server; one that a policy stopped did not leave."""
    if not url.startswith((server.address, "data:")) and "csp" not in failure:
        tab.left.append((url, failure))


def opened(browser: Any, server: Server, path: str = "/", width: int = 1280, **more: Any) -> Any:
    """Open a page as a person would, and return the browser's tab."""
    tab = browser.new_context(viewport={"width": width, "height": 844}, **more).new_page()
    tab.left, tab.dialogs = [], []
    tab.on("requestfinished", lambda request: left(tab, server, request.url))
    tab.on("requestfailed", lambda request: left(tab, server, request.url, str(request.failure)))
    tab.on("dialog", lambda dialog: (tab.dialogs.append(dialog.message), dialog.dismiss()))
    tab.goto(f"{server.address.rstrip('/')}{path}")
    return tab


def poisonous_pages() -> list[str]:
    """Return the addresses of all kinds of pages, with payloads where an address takes words."""
    target = urlencode(dict.fromkeys(compared.TARGET, INLINE))
    asked = urlencode(dict.fromkeys(("procedure", "system", "environment", "cause", "actor"), INLINE))
    return [
        "/", f"/runs/{SECOND}", f"/runs/{SECOND}/report", f"/diff?before={FIRST}&after={SECOND}",
        f"/procedure?{target}", f"/procedure?{target}&key={quote(INLINE)}", f"/?{asked}",
        f"/?words={quote(INLINE)}", f"/?words={quote(INLINE)}+critical", f"/?since={quote(INLINE)}",
        f"/?before={quote(INLINE)}", f"/?{quote(INLINE)}=1", f"/?verdict={quote(INLINE)}",
        f"/runs/{quote(INLINE, safe='')}", f"/diff?before={quote(INLINE)}&after=x", f"/{quote(INLINE)}",
    ]  # fmt: skip


def test_nothing_that_came_from_elsewhere_runs_or_loads(browser: Any, poisoned: Server) -> None:
    """Payloads in every place of a record, in notes and in addresses: no code runs, no request leaves."""
    tab = opened(browser, poisoned)
    for path in poisonous_pages():
        tab.goto(f"{poisoned.address.rstrip('/')}{path}")
        tab.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
        assert tab.evaluate("window.hit") is None, path
    assert (tab.dialogs, tab.left) == ([], [])


def test_payloads_are_harmless_without_the_policy_too(browser: Any, poisoned: Server) -> None:
    """The policy is the second wall; the first must hold alone."""
    tab = opened(browser, poisoned)

    def bare(route: Any) -> None:
        answer = route.fetch()
        headers = {name: text for name, text in answer.headers.items() if "policy" not in name}
        route.fulfill(response=answer, headers=headers)

    tab.route("**/*", bare)
    own = [path for path in poisonous_pages() if not path.endswith("/report")]
    for path in own:
        tab.goto(f"{poisoned.address.rstrip('/')}{path}")
        tab.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
        assert (tab.evaluate("window.hit"), tab.dialogs) == (None, []), path
        strange = tab.locator("script, iframe, object, embed, base, img, svg:not(.curve), #bait, [onerror]")
        assert strange.count() == 1, f"{path}: only our own script"
        assert (
            tab.locator(
                "form:not([action='/'], [action='/diff']), link[href^=http], meta[http-equiv]"
            ).count()
            == 0
        )
    assert tab.left == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_has_to_be_moved_sideways(browser: Any, server: Server, poisoned: Server, width: int) -> None:
    """Also where words are as long as payloads are."""
    shown = [(server, path) for path in every_page() if not path.endswith(("notebook", ".css"))]
    shown += [(poisoned, path) for path in ("/", f"/runs/{SECOND}", f"/diff?before={FIRST}&after={SECOND}")]
    tab = opened(browser, server, width=width)
    for where, path in shown:
        tab.goto(f"{where.address.rstrip('/')}{path}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_phone_shows_verdict_cause_and_seal_without_scrolling(browser: Any, server: Server) -> None:
    """What is asked at night is on the first screen."""
    tab = opened(browser, server, f"/runs/{ILL}", 390)
    for selector in ("h1 strong", ".where", ".cause", ".next code", "table.findings tr.critical", ".seal b"):
        box = tab.locator(selector).first.bounding_box()
        assert box and box["y"] + box["height"] <= 844, selector


def test_words_can_be_read_by_day_and_by_night(browser: Any, server: Server) -> None:
    """Each has a contrast of at least 4.5 with what is behind it."""
    for path, selectors in READ.items():
        tab = opened(browser, server, path)
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            for selector in selectors:
                ratio = tab.locator(selector).first.evaluate(CONTRAST)
                assert ratio >= 4.5, f"{selector} in {scheme}: {ratio:.2f}"


def test_moments_are_told_in_the_zone_of_whoever_reads(browser: Any, server: Server) -> None:
    """UTC is there when one points at it; without a script it is all there is."""
    tab = opened(browser, server, timezone_id="Asia/Tokyo", locale="en-GB")
    first = tab.locator("time").nth(3)
    assert first.inner_text() == "1 Jun 2025, 13:00 GMT+9"
    assert first.get_attribute("title") == "2025-06-01 04:00:00 UTC"
    assert "Asia/Tokyo" in tab.locator(".zone").inner_text()
    plain = opened(browser, server, java_script_enabled=False)
    assert plain.locator("time").nth(3).inner_text() == "2025-06-01 04:00:00 UTC"


def test_everything_can_be_done_without_a_mouse(browser: Any, server: Server) -> None:
    """Search by typing, open a run by Tab and Enter, and see where one is."""
    tab = opened(browser, server)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.type("too many clients")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert tab.locator("table.runs tbody tr").count() == 1
    tab.locator("table.runs a").first.focus()
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert tab.locator("h1").inner_text().startswith("Critical")


def test_filters_are_chosen_from_lists_that_have_names(browser: Any, server: Server) -> None:
    """A screen reader says which is which."""
    tab = opened(browser, server, width=390)
    tab.get_by_text("Filters").click()
    tab.get_by_label("system").select_option("klutr")
    with tab.expect_navigation():
        tab.get_by_role("button", name="Show").click()
    assert "system=klutr" in tab.url and tab.locator("table.runs tbody tr").count() == 1
    assert "system klutr" in tab.locator(".filters summary").inner_text()
    with tab.expect_navigation():
        tab.get_by_role("link", name="Clear all").click()
    assert tab.locator("table.runs tbody tr").count() == 5


def test_paper_has_the_record_and_not_the_buttons(browser: Any, server: Server) -> None:
    """A printed page is for reading."""
    tab = opened(browser, server, f"/runs/{ILL}")
    tab.emulate_media(media="print")
    assert not tab.locator(".top").is_visible() and not tab.locator("nav.buttons").is_visible()
    assert tab.locator(".seal").is_visible() and tab.locator(".seal li").first.is_visible()
