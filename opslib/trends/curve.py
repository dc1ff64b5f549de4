"""Numbers over time as a drawing inside the page, with the limits that they are held to."""

from __future__ import annotations

from datetime import datetime
from html import escape

from opslib.trends import words
from opslib.trends.facts import Trend

WIDTH, HEIGHT = 640, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 6, 560, 14, 148
_LEVELS = ("warning", "critical")


def curve(trend: Trend) -> str:
    """Return the drawing; empty where there is one number only.

    Args:
        trend: the numbers, the oldest first, and their limits.
    """
    if len(trend.points) < 2:
        return ""
    bounds = [bound.value for bound in trend.limits]
    values = [value for _, value in trend.points]
    low, high = min([*values, *bounds]), max([*values, *bounds])
    first, last = trend.points[0][0], trend.points[-1][0]
    line = " ".join(f"{_x(t, first, last):.1f},{_y(v, low, high):.1f}" for t, v in trend.points)
    end = line.rsplit(" ", 1)[-1].split(",")
    parts = [
        *(_bound(value, place, len(bounds), low, high) for place, value in enumerate(bounds)),
        f'<polyline class="line" points="{line}"/>',
        f'<circle class="dot" cx="{end[0]}" cy="{end[1]}" r="3"/>',
        f'<text x="{_LEFT}" y="{HEIGHT - 6}">{words.clock(first)}</text>',
        f'<text x="{_RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{words.clock(last)} UTC</text>',
    ]
    told = escape(words.trend(trend))
    head = f'class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}"'
    return f"<svg {head}>{''.join(parts)}</svg>"


def _bound(value: float, place: int, many: int, low: float, high: float) -> str:
    level = _LEVELS[place] if many > 1 and place < len(_LEVELS) else "critical"
    y = _y(value, low, high)
    return (
        f'<line class="bound {level}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="{level}" x="{_RIGHT + 6}" y="{y + 4:.1f}">limit {value:g}</text>'
    )


def _x(moment: datetime, first: datetime, last: datetime) -> float:
    share = (moment - first) / (last - first) if last > first else 1.0
    return _LEFT + share * (_RIGHT - _LEFT)


def _y(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return _BOTTOM - share * (_BOTTOM - _TOP)
