"""Put things in front of a person: the only module that talks to IPython.

Whatever is displayed is masked by value first, so that a notebook run by stock papermill or in
JupyterLab, where no runner stands between kernel and disk, keeps secrets out of its outputs too.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from opslib import frames, masking
from opslib.show import cells, changes, markup
from opslib.verdict import Finding, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from opslib.gate.plan import Plan, Values
    from opslib.gate.results import Result

RUN_MIME = "application/vnd.opslib.run+json"


class Banner:
    """The verdict on top of the notebook, updated in place as checks come in."""

    def __init__(self, run_id: str) -> None:
        self._display_id = f"opslib-banner-{run_id}"
        self._shown = False

    def show(self, heading: markup.Heading, verdict: Verdict) -> None:
        """Show the banner, or bring the one already shown up to date."""
        said = {"text/html": markup.style() + _masked(markup.banner(heading, verdict)),
                "text/plain": _masked(plain(heading, verdict))}  # fmt: skip
        _display(said, raw=True, display_id=self._display_id, update=self._shown)
        self._shown = True


class Show:
    """What a notebook holds as `ops.show`: call it with a frame, or ask for a plot."""

    def __call__(self, frame: pd.DataFrame, title: str = "", top: int = 20) -> None:
        """Show the first `top` rows of a frame and say how many there are.

        Args:
            frame: what to show; a frame that could not be filled shows its reason instead.
            title: title above the table.
            top: the largest number of rows shown.
        """
        if self._absent(frame, title):
            return
        _html(markup.table(frame, title, top), text=f"{title}\n{cells.text(frame, top)}")

    def bar(
        self, frame: pd.DataFrame, x: str, y: str, limit: float | None = None, title: str = "", unit: str = ""
    ) -> None:
        """Show horizontal bars of column `y` by column `x`, with the limit drawn in."""
        self._plot("bar", frame, x, y, limit, title, unit)

    def line(
        self, frame: pd.DataFrame, x: str, y: str, limit: float | None = None, title: str = "", unit: str = ""
    ) -> None:
        """Show column `y` over column `x`, with the limit drawn in."""
        self._plot("line", frame, x, y, limit, title, unit)

    def _plot(
        self, kind: str, frame: pd.DataFrame, x: str, y: str, limit: float | None, title: str, unit: str
    ) -> None:
        if self._absent(frame, title):
            return
        from opslib.show import plots

        masked = frame.assign(**{x: frame[x].map(_masked)})
        figure = getattr(plots, kind)(masked, x, y, limit=limit, title=_masked(title), unit=unit)
        picture = base64.b64encode(plots.png(figure)).decode("ascii")
        words = cells.text(masked[[x, y]], plots.BARS)
        _display({"image/png": picture, "text/plain": f"{_masked(title)}\n{words}"}, raw=True)

    def _absent(self, frame: pd.DataFrame, title: str) -> bool:
        reason = frames.reason(frame)
        if reason or frame.empty:
            words = f"could not be looked at: {reason}" if reason else "nothing to show: no rows"
            _html(markup.notice(title, words), text=f"{title}: {words}")
        return bool(reason) or frame.empty


def findings(rows: Iterable[Finding]) -> None:
    """Show all findings, the worst first."""
    kept = list(rows)
    text = "\n".join(f"{f.status:9} {f.check} {f.subject} {f.observed} {f.why}" for f in kept)
    _html(markup.findings(kept), text=text or "no check was made")


def plan(shown: Plan, need: str, besides: str, asked: Values) -> None:
    """Show a plan; `besides` says what is there now and not part of it, `asked` what was asked for."""
    _html(changes.plan(shown, need) + (markup.notice("", besides) if besides else ""),
          text="\n".join(filter(None, (changes.plan_text(shown, need, asked), besides))))  # fmt: skip


def no_plan(words: str) -> None:
    """Say that there is no plan, and why."""
    _html(markup.notice("Plan", words), text=f"Plan: {words}")


def how_to_go_on(shown: Plan, need: str) -> None:
    """Say that nothing was changed, and with which commands the plan goes on."""
    words = changes.how_to_go_on(shown, need)
    _html(f'<pre class="opslib-note">{markup.escaped(words)}</pre>', text=words)


def results(rows: Sequence[Result]) -> None:
    """Show what became of each target of a plan."""
    _html(changes.results(rows), text=changes.results_text(rows))


class Progress:
    """One line that says how far a change is, updated in place."""

    def __init__(self, run_id: str) -> None:
        self._display_id = f"opslib-progress-{run_id}"
        self._shown = ""

    def __call__(self, text: str) -> None:
        """Show a new text; the same one again is not shown again."""
        if text == self._shown:
            return
        _html(markup.notice("", text), text=text, display_id=self._display_id, update=bool(self._shown))
        self._shown = text


def result(document: dict[str, Any], note: str) -> None:
    """Show the end of a run: the typed output for programs, the note for people."""
    body = f'<pre class="opslib-note">{markup.escaped(_masked(note))}</pre>'
    data = {RUN_MIME: _masker().mask_json(document), "text/html": body, "text/plain": _masked(note)}
    _display(data, raw=True)


def plain(heading: markup.Heading, verdict: Verdict) -> str:
    """Return the banner as one line of text, for terminals and for readers of raw notebooks."""
    cause = f" | cause: {verdict.cause.id}" if verdict.cause else ""
    return f"{verdict.status} | {heading.title} | {heading.system} {heading.environment}{cause}"


def _html(body: str, *, text: str, display_id: str | None = None, update: bool = False) -> None:
    data = {"text/html": _masked(body), "text/plain": _masked(text)}
    _display(data, raw=True, display_id=display_id, update=update)


def _display(thing: Any, **options: Any) -> None:
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if get_ipython() is not None:
        display(thing, **options)
    elif isinstance(thing, dict):
        # Outside a kernel (a notebook exported as a script): text is still better than nothing.
        sys.stdout.write(thing["text/plain"] + "\n")


def _masker() -> masking.Masker:
    return masking.Masker(masking.registered())


def _masked(text: object) -> str:
    return _masker().mask(str(text))
