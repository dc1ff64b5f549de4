"""The page of a run: everything that matters on the first screen, and nothing that acts."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opslib.runner import outputs, page
from opslib.runner.card import card, command
from opslib.show.words import HEADLINE
from opslib.verdict import Status
from tests import pages

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
FIRST_SCREEN = {
    "verdict": "h1 strong",
    "sign": ".sign",
    "system and environment": ".where",
    "cause": ".cause",
    "next step": ".next code",
    "worst finding": "table.findings tr.critical",
    "could not be looked at": "table.findings tr.unknown",
    "warning": "table.findings tr.warning",
    "the others, folded": ".told > details summary",
    "when": ".facts time",
    "how long": ".facts .took",
    "who": ".facts div:nth-child(2) dd",
    "from which commit": ".facts div:nth-child(3) dd",
    "parameters": ".facts div:nth-child(4) dd",
}
FLAG = "window.hit = 1; alert(1)"
PAYLOADS = [
    f"<script>{FLAG}</script>",
    f'<img src=x onerror="{FLAG}">',
    f'<svg onload="{FLAG}"><script>{FLAG}</script></svg>',
    f'"><iframe srcdoc="<script>{FLAG}</script>"></iframe>',
    f'<details open ontoggle="{FLAG}"><summary>x</summary></details>',
    f'<a href="javascript:{FLAG}" id="bait">x</a>',
    "<style>@import url(https://outside.test/x.css);</style>",
    '<img src="https://outside.test/pixel.png"><link rel=stylesheet href=https://outside.test/y.css>',
    '<table background="https://outside.test/b.png"><td style="background:url(https://outside.test/c.png)">',
    f'</code></pre></td></table></header></style><body onload="{FLAG}"><form action=https://outside.test/>'
    '<meta http-equiv=refresh content="0;url=https://outside.test/"><base href="https://outside.test/">',
]  # fmt: skip
POISON = "\n".join(PAYLOADS)
INLINE = " ".join(PAYLOADS)


def poisoned() -> str:
    """Return a page with every payload in every place that takes words from elsewhere."""
    told = dict.fromkeys(("subject", "observed", "limit", "expected", "why", "next"), INLINE)
    finding = pages.finding(INLINE, "critical", **told)
    cause = {"id": INLINE, "text": INLINE}
    stated = pages.statement(
        findings=[finding, {**finding, "status": "ok"}],
        cause=cause,
        causes=[cause, cause],
        next=[{"procedure": INLINE, "parameters": {INLINE: INLINE}, "why": INLINE}],
        error=INLINE,
        actor={"user": {"name": INLINE, "type": "User"}},
        calls=[{"source": INLINE, "what": INLINE, "rows": INLINE, "ms": 1, "ok": False, "error": INLINE}],
        redaction={"engine": INLINE, "masked": {INLINE: 1}},
    )
    stated["predicate"]["runDefinition"]["externalParameters"] |= {
        "parameters": {INLINE: INLINE}, "system": INLINE, "environment": INLINE, "runbook": INLINE,
    }  # fmt: skip
    bundles = [
        pages.shown(**{kind: POISON}) for kind in ("text_html", "text_markdown", "text_plain", "image_svg")
    ]
    cells = [
        pages.markdown(POISON),
        pages.markdown(f"[x](javascript:alert(1)) ![y](https://outside.test/z.png) <{INLINE}>"),
        pages.code(POISON, *bundles, pages.stream(POISON), pages.stream(POISON, "stderr")),
        pages.code("x", pages.error(INLINE, INLINE, INLINE, "a\nb\nc\nd"), pages.shown(image_png=POISON)),
        pages.code("x", pages.shown(image_png=pages.PIXEL, text_plain=POISON)),
        pages.code("x", pages.shown(application_json={POISON: [POISON]}), pages.shown(**{INLINE: INLINE})),
        {"cell_type": "raw", "metadata": {}, "source": POISON},
    ]
    before = [{**run, "run_id": INLINE, "started_at": INLINE} for run in pages.history(3)]
    return page.render(pages.notebook(*cells, title=INLINE), stated, before)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give one headless Chromium to all tests of this module."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def opened(browser: Any, source: str, folder: Path, width: int = 1280, height: int = 800) -> Any:
    """Open a page from a file, as a person would, and return the browser's tab."""
    path = folder / "run.html"
    path.write_text(source, encoding="utf-8")
    tab = browser.new_context(viewport={"width": width, "height": height}).new_page()
    tab.requests, tab.dialogs = [], []
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.on("dialog", lambda dialog: (tab.dialogs.append(dialog.message), dialog.dismiss()))
    tab.goto(path.as_uri())
    return tab


def in_trouble() -> str:
    """Return the page of the run that `pages` describes."""
    table = '<style>p{display:none}</style><table class="opslib-table"><tr><td>1</td></tr></table>'
    cells = [
        pages.markdown("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
        pages.code("1 + 1", pages.shown(text_html=table)),
    ]
    return page.render(pages.notebook(*cells), pages.statement(), pages.history())


@pytest.mark.browser
@pytest.mark.parametrize("width, height", [(390, 844), (1280, 800)])
def test_the_first_screen_answers_what_a_person_asks_at_night(
    browser: Any, tmp_path: Path, width: int, height: int
) -> None:
    """Verdict, cause, next step, findings, who, when and from what are seen without scrolling."""
    tab = opened(browser, in_trouble(), tmp_path, width, height)
    for what, selector in FIRST_SCREEN.items():
        box = tab.locator(selector).first.bounding_box()
        assert box and box["width"] > 0, what
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, f"{what} is cut at the side: {box}"
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, (
            f"{what} is below the first screen: {box}"
        )
    assert tab.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.browser
def test_a_phone_shows_a_bad_night_whole_too(browser: Any, tmp_path: Path) -> None:
    """Three causes with long sentences and eight bad findings leave room for who and when."""
    words = (
        "the pool of klutr-api holds more sessions than the server has free, so requests wait and then fail"
    )
    causes = [{"id": f"cause-number-{n}", "text": f"{words}; start it anew."} for n in range(3)]
    told = {
        "subject": "postgres-main-direct",
        "observed": "123.4 seconds",
        "limit": "60 seconds",
        "why": words,
    }
    rows = [pages.finding(f"check of kind {n}", "critical", **told) for n in range(8)]
    stated = pages.statement(causes=causes, findings=rows, next=[pages.NEXT, pages.NEXT])
    tab = opened(browser, page.render(pages.notebook(), stated, pages.history()), tmp_path, 390, 844)
    box = tab.locator("header").bounding_box()
    assert box["y"] + box["height"] <= 844


@pytest.mark.browser
def test_nothing_that_came_from_elsewhere_runs_or_loads(browser: Any, tmp_path: Path) -> None:
    """Ten payloads in every place that takes words from elsewhere: no code runs, no request leaves."""
    tab = opened(browser, poisoned(), tmp_path)
    tab.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    for link in tab.locator("a").all():
        assert not (link.get_attribute("href") or "https:").startswith("javascript"), "a link that runs code"
    assert tab.evaluate("window.hit") is None
    assert tab.dialogs == []
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.browser
def test_payloads_are_harmless_without_the_policy_too(browser: Any, tmp_path: Path) -> None:
    """The policy is the second wall; the first must hold alone."""
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", poisoned(), count=1)
    assert "Content-Security-Policy" not in bare
    tab = opened(browser, bare, tmp_path)
    tab.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    assert (tab.evaluate("window.hit"), tab.dialogs) == (None, [])
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
    assert tab.locator("script, iframe, object, embed, link, base, form, meta[http-equiv]").count() == 0


@pytest.mark.browser
def test_code_is_folded_on_screen_and_open_on_paper(browser: Any, tmp_path: Path) -> None:
    """A printed record without its code would prove less."""
    tab = opened(browser, in_trouble(), tmp_path)
    body = tab.locator("details.code pre").first
    assert not body.is_visible()
    tab.emulate_media(media="print")
    assert body.is_visible()
    assert body.bounding_box()["height"] > 10


@pytest.mark.browser
def test_words_can_be_read_in_the_dark(browser: Any, tmp_path: Path) -> None:
    """Every text of the head has a contrast of at least 4.5 with what is behind it, by day and by night."""
    tab = opened(browser, in_trouble(), tmp_path)
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        for selector in (
            "h1 strong",
            ".cause",
            ".label",
            ".facts dt",
            ".findings .status b",
            ".notebook td",
            "summary",
        ):
            ratio = tab.locator(selector).first.evaluate(CONTRAST)
            assert ratio >= 4.5, f"{selector} in {scheme}: {ratio:.2f}"


CONTRAST = """element => {
  const part = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const colour = text => text.match(/[0-9.]+/g).map(Number);
  let behind = element, ground;
  do { ground = colour(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
  while (ground.length === 4 && ground[3] === 0 && behind);
  const [a, b] = [light(colour(getComputedStyle(element).color)), light(ground)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


def test_tables_and_headings_survive_and_styles_do_not() -> None:
    """What a notebook shows is mostly tables: a page that loses their headers is no record."""
    html = outputs.clean(
        '<style>p{}</style><h1 id="x" style="a">T</h1><table class="dataframe opslib-table evil"><thead>'
        "<tr><th>n</th></tr></thead><tbody><tr><td onclick=x>1</td></tr></tbody></table>"
    )
    assert html == (
        '<h2>T</h2><table class="opslib-table"><thead><tr><th>n</th></tr></thead>'
        "<tbody><tr><td>1</td></tr></tbody></table>"
    )


def test_the_page_is_one_file_without_scripts_and_names_the_sealed_notebook() -> None:
    """It must be readable in ten years, offline, and say which notebook it shows."""
    html = in_trouble()
    assert "<script" not in html.lower()
    assert not re.search(r'(?:src|href)="(?!data:|https://|mailto:)', html)
    assert "019aa4c1-7d3e-7c11-9b7e-2f6f3f1f0a55" in html
    assert "cd" * 32 in html


@pytest.mark.parametrize(
    "verdict, sign", [("ok", "✔"), ("warning", "▲"), ("critical", "✖"), ("unknown", "?")]
)
def test_a_verdict_is_told_by_sign_and_word_not_by_colour_alone(verdict: str, sign: str) -> None:
    """Some people do not see red and green; paper has neither."""
    rows = [pages.finding("slots", verdict, why="because")]
    html = card("Title", pages.statement(verdict=verdict, findings=rows, causes=[], cause=None)["predicate"])
    assert f'aria-hidden="true">{sign}</span><h1><strong>{HEADLINE[Status(verdict)]}</strong>' in html


def test_good_checks_are_one_line_and_the_worst_come_first() -> None:
    """Nobody should have to look for what is wrong."""
    html = card("Title", pages.statement()["predicate"])
    assert "<summary>✔ 5 checks ok, 1 skipped</summary>" in html
    assert html.index("connection slots") < html.index("status page") < html.index("idle sessions")
    assert html.index("idle sessions") < html.index("application name is set")


def test_many_bad_findings_leave_room_for_the_rest() -> None:
    """Forty broken endpoints must not push who and when off the screen."""
    rows = [pages.finding(f"endpoint {n}", "critical") for n in range(40)]
    html = card("Title", pages.statement(findings=rows)["predicate"])
    assert "<summary>37 more: ✖ 37 critical</summary>" in html
    assert html.count("<tr class=") == 40


def test_the_next_step_is_a_command_that_a_shell_takes_as_it_stands() -> None:
    """It is pasted at night: a value with a space or a semicolon must stay one word."""
    step = {
        "procedure": "locks",
        "parameters": {"system": "klutr", "environment": "production", "query": "a; rm b"},
    }
    assert command(step) == "opslib run locks --system klutr --env production -p 'query=a; rm b'"


def test_a_run_that_broke_says_so_before_anything_else() -> None:
    """A page that shows findings of half a run must not look like a whole one."""
    error = {"cell": 4, "type": "KeyError", "text": "cell 4: KeyError: 'pct'"}
    stated = pages.statement(verdict="unknown", error=error)["predicate"]
    html = card("Title", stated)
    assert html.index("The run broke.</b> cell 4: KeyError: &#x27;pct&#x27;") < html.index("connection-leak")
    told = card("Title", {**stated, "causes": [{"id": "procedure-broke", "text": error["text"]}]})
    assert "<b>procedure-broke</b> cell 4: KeyError" in told
    assert told.count("cell 4") == 1


def test_history_tells_each_run_in_words_too() -> None:
    """Bars are for the eye; the same is there as text."""
    html = page.strip(pages.history(30))
    assert 'aria-label="Last 30 runs here: 24 ok, 3 warning, 1 unknown, 2 critical; usually 4.4 s"' in html
    assert html.count("title=") == 30
    assert html.count("(this run)") == 1
    assert "First run" in page.strip(pages.history(1))


def test_terminal_colours_and_overwritten_lines_are_reduced_to_what_was_left_to_see() -> None:
    """Progress bars and colours are noise on paper."""
    text = "\x1b[31mred\x1b[0m\n10 %\r50 %\rdone\r\n\x1b]8;;https://x.test\x1b\\link\x1b]8;;\x1b\\ \x07end"
    assert outputs.plain(text) == "red\ndone\nlink end"


def test_a_typed_result_shows_its_note() -> None:
    """Programs read the JSON; people read the note beside it."""
    data = {
        "application/vnd.opslib.run+json": {"schema": 1},
        "text/html": '<pre class="opslib-note">Note</pre>',
    }
    html = outputs.output({"output_type": "display_data", "data": data})
    assert '<pre class="opslib-note">Note</pre>' in html
    assert "schema" not in html


@pytest.mark.parametrize(
    "data, shown",
    [
        ({"application/x-unheard-of": "zz", "text/plain": "words"}, "words"),
        ({"text/html": "<script>draw()</script><div></div>", "text/plain": "words"}, "words"),
        ({"image/png": "!!! no base64", "text/plain": "words"}, "words"),
        ({"application/x-unheard-of": "zz"}, "cannot show (application/x-unheard-of)"),
    ],
)
def test_what_cannot_be_shown_falls_back_to_words(data: dict[str, Any], shown: str) -> None:
    """A hole in a record must at least say that it is one."""
    assert shown in outputs.output({"output_type": "display_data", "data": data})


def test_pictures_are_inside_the_page_and_described() -> None:
    """A drawing as source of an image can neither run nor load anything."""
    drawing = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    html = outputs.output(pages.shown(image_svg=drawing, text_plain="Sessions by application"))
    encoded = base64.b64encode(drawing.encode()).decode()
    assert f'<img alt="Sessions by application" src="data:image/svg+xml;base64,{encoded}">' in html
    assert 'alt="picture made by cell 3"' in outputs.output(pages.shown(image_png=pages.PIXEL), 3)


def test_a_huge_output_is_cut_and_says_so() -> None:
    """Twenty megabytes of log are in the notebook; the page still opens on a phone."""
    big = [
        pages.stream("x" * 79 + "\n" + "line\n" * 4_000_000),
        pages.shown(text_html="<p>word</p>" * 500_000),
    ]
    html = page.render(pages.notebook(pages.code("noise()", *big)), pages.statement(), [])
    assert len(html) < 1_000_000
    assert html.count("all of it is in run.ipynb") == 2


def test_a_notebook_of_many_pictures_stays_below_the_limit() -> None:
    """Each picture fits, all of them together do not."""
    picture = base64.b64encode(b"\0" * 2_000_000).decode()
    cells = [pages.code("plot()", pages.shown(image_png=picture)) for _ in range(12)]
    html = page.render(pages.notebook(*cells), pages.statement(), [])
    assert len(html) < outputs.NOTEBOOK_LIMIT + 100_000
    assert "The rest is too large for a page" in html
