"""Two plots, small and plain: bars for who holds what, a line for how it went."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

INK = "#0969da"
LIMIT = "#cf222e"
BARS = 20  # the most that one plot has
# In inches: a bar with its gap, the figure, and the room around the bars; numbers stand on their right.
_BAR, _WIDTH = 0.28, 7.2
_ABOVE, _BELOW, _RIGHT, _GAP = 0.4, 0.25, 0.7, 0.12
_DPI = 110
# So many of each colour, from the second on: nearer to white, Pillow would take one for white itself.
_SHADES = 31
_STEPS = range(2, _SHADES + 1)
_COLOURS = [(0, 0, 0), *(tuple(bytes.fromhex(ink.removeprefix("#"))) for ink in (INK, LIMIT))]
_FONT = "DejaVu Sans"  # comes with matplotlib; to look for others takes longer than to write with it


def bar(frame: pd.DataFrame, x: str, y: str, *, limit: float | None, title: str, unit: str) -> Figure:
    """Return horizontal bars of `y` by `x`, each with its number, the first on top, with the limit drawn in.

    Args:
        frame: rows to draw, at most the first 20.
        x: column with the labels.
        y: column with the lengths.
        limit: where to draw the limit line, in units of `y`.
        title: title of the plot.
        unit: unit of `y`.
    """
    rows = frame.head(BARS)
    names, values = [str(name) for name in rows[x]], [float(value) for value in pd.to_numeric(rows[y])]
    sheet = _Sheet(names, _BAR * max(len(rows), 2), f"{title} ({unit or y})")
    longest = max([limit or 0.0, *filter(math.isfinite, values)]) or 1.0
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        sheet.bar(number, name, value / longest if math.isfinite(value) else 0.0, f"{value:g}")
    if limit is not None:
        sheet.limit(limit / longest, f"limit {limit:g}")
    return sheet.figure


def line(frame: pd.DataFrame, x: str, y: str, *, limit: float | None, title: str, unit: str) -> Figure:
    """Return `y` over `x` as a line with points, with the limit drawn in; arguments as in `bar`."""
    figure, axes = _axes(2.4, title)
    axes.plot(frame[x], pd.to_numeric(frame[y]), color=INK, marker="o", markersize=3)
    axes.set_ylabel(unit or y)
    axes.set_ylim(bottom=0)
    if limit is not None:
        axes.axhline(limit, color=LIMIT, linestyle="--", linewidth=1, label=f"limit {limit:g}")
        axes.legend(frameon=False)
    return figure


def png(figure: Figure) -> bytes:
    """Return the figure as PNG bytes, 110 dots per inch, in the few colours that these plots have.

    With a palette a plot takes a third of the bytes and a quarter of the time to pack; each byte of it is
    sent, searched for secrets and written several times.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    with _letters_as_they_are():
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), pixels).convert("RGB")
    buffer = io.BytesIO()
    drawn.quantize(palette=_palette(), dither=Image.Dither.NONE).save(buffer, "png", compress_level=3)
    return buffer.getvalue()


@cache
def _palette() -> Image:
    """Return an image with the colours of a plot: from white to black, to the ink, and to the limit."""
    from PIL import Image

    shades = [
        [255 + (part - 255) * step / _SHADES for part in colour] for colour in _COLOURS for step in _STEPS
    ]
    white = [255.0] * 3
    image = Image.new("P", (1, 1))
    image.putpalette([round(part) for shade in [white, *shades] for part in shade])
    return image


@contextmanager
def _letters_as_they_are() -> Iterator[None]:
    """Draw letters where they belong; to move each to the grid of pixels is a quarter of all the work."""
    from matplotlib import rcParams

    usual = rcParams["text.hinting"]
    rcParams["text.hinting"] = "none"
    try:
        yield
    finally:
        rcParams["text.hinting"] = usual


def _axes(height: float, title: str) -> tuple[Figure, Axes]:
    # Figure without pyplot: no backend to configure, no global state, and half the import time.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


class _Sheet:
    """A figure on which bars are drawn where they are to be, in inches.

    With axes matplotlib looks for the room that everything needs, which takes four times as long.

    Args:
        names: of the bars.
        height: of all bars.
        title: above them.
    """

    def __init__(self, names: Sequence[str], height: float, title: str) -> None:
        from matplotlib.figure import Figure
        from matplotlib.font_manager import FontProperties

        self._font = FontProperties(family=_FONT, size=8)
        self._top = _BELOW + height
        self.figure = Figure(figsize=(_WIDTH, self._top + _ABOVE))
        self._inches = self.figure.dpi_scale_trans
        self._left = min(self._widest(names) + 2 * _GAP, _WIDTH / 2)
        self._length = _WIDTH - self._left - _RIGHT
        large = FontProperties(family=_FONT, size=10)
        self._write(_GAP, self._top + _ABOVE - _GAP, title, va="top", fontproperties=large)
        self._line(self._left, color="black", linewidth=0.8)

    def bar(self, number: int, name: str, share: float, words: str) -> None:
        """Draw one bar; `share` is its part of the longest that there is room for."""
        from matplotlib.patches import Rectangle

        bottom = self._top - _BAR * (number + 1)
        place, length = (self._left, bottom + 0.1 * _BAR), max(share, 0.0) * self._length
        self.figure.add_artist(
            Rectangle(place, length, 0.8 * _BAR, color=INK, transform=self._inches), clip=False
        )
        self._write(self._left - _GAP / 2, bottom + _BAR / 2, name, ha="right")
        self._write(self._left + length + _GAP / 2, bottom + _BAR / 2, words)

    def limit(self, share: float, words: str) -> None:
        """Draw the limit across all bars."""
        where = self._left + share * self._length
        self._line(where, color=LIMIT, linewidth=1, linestyle="--")
        self._write(where, _BELOW, words, va="top", ha="center", color=LIMIT)

    def _line(self, where: float, **look: Any) -> None:
        from matplotlib.lines import Line2D

        ends = ([where, where], [_BELOW, self._top])
        self.figure.add_artist(Line2D(*ends, transform=self._inches, **look), clip=False)

    def _write(self, left: float, bottom: float, words: str, **look: Any) -> None:
        chosen = {"va": "center", "fontproperties": self._font, **look}
        # A dollar sign in a name is no mathematics.
        self.figure.text(left, bottom, words, transform=self._inches, parse_math=False, **chosen)

    def _widest(self, names: Sequence[str]) -> float:
        """Return the width of the longest name, in inches."""
        from matplotlib.backends.backend_agg import RendererAgg

        # One pixel: to measure needs no picture, and that of the figure has two million bytes.
        renderer = RendererAgg(1, 1, self.figure.dpi)  # type: ignore[no-untyped-call]
        longest = max(names, key=len, default="")
        width, _, _ = renderer.get_text_width_height_descent(longest, self._font, False)  # type: ignore[no-untyped-call]
        return float(width) / self.figure.dpi
