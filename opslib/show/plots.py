"""Two plots, small and plain: bars for who holds what, a line for how it went."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#0969da"
LIMIT = "#cf222e"


def bar(frame: pd.DataFrame, x: str, y: str, *, limit: float | None, title: str, unit: str) -> Figure:
    """Return horizontal bars of `y` by `x`, the longest on top, with the limit drawn in.

    Args:
        frame: rows to draw, at most the first 20.
        x: column with the labels.
        y: column with the lengths.
        limit: where to draw the limit line, in units of `y`.
        title: title of the plot.
        unit: unit of `y`.
    """
    rows = frame.head(20).iloc[::-1]
    figure, axes = _axes(0.6 + 0.28 * max(len(rows), 2), title)
    values = pd.to_numeric(rows[y])
    bars = axes.barh(rows[x].astype(str), values, color=INK)
    axes.bar_label(bars, fmt="%g", padding=3)
    axes.set_xlabel(unit or y)
    if limit is not None:
        axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1, label=f"limit {limit:g}")
        axes.legend(frameon=False, loc="lower right")
    return figure


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
    """Return the figure as PNG bytes, 110 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _axes(height: float, title: str) -> tuple[Figure, Axes]:
    # Figure without pyplot: no backend to configure, no global state, and half the import time.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes
