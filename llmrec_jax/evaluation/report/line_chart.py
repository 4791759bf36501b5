"""A line chart as inline SVG, drawn in the page's own colours."""

import math
from collections.abc import Sequence

from llmrec_jax.evaluation.report.markup import Markup, grouped, join, tag
from llmrec_jax.evaluation.report.report_data import Curve

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 34
MAX_POINTS = 240
MAX_DOTS = 40


def line_chart(curve: Curve) -> Markup:
    """The curve with its axes and, where asked for, its best point; empty where no value is finite.

    More than `MAX_POINTS` points are drawn as means of neighbours.
    """
    points = [
        (float(step), float(value))
        for step, value in zip(curve.steps, curve.values)
        if value is not None and math.isfinite(value)
    ]
    if not points:
        return Markup('')
    drawn = _binned(points)
    x_low, x_high = points[0][0], max(points[-1][0], points[0][0] + 1)
    y_ticks = ticks(min(value for _, value in drawn), max(value for _, value in drawn))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def place(step: float, value: float) -> tuple[float, float]:
        across = (step - x_low) / (x_high - x_low)
        up = min(max((value - y_low) / (y_high - y_low), 0), 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    path = ' '.join('{:.1f},{:.1f}'.format(*place(*point)) for point in drawn)
    parts = [_horizontal(tick, place(x_low, tick)[1]) for tick in y_ticks]
    parts += [_vertical(tick, place(tick, y_low)[0]) for tick in _inside(ticks(x_low, x_high), x_low, x_high)]
    parts.append(tag('polyline', points=path, class_='line'))
    if len(drawn) <= MAX_DOTS:
        parts += [_dot(*place(*point), 'dot') for point in drawn]
    if curve.best:
        best = (min if curve.best == 'low' else max)(drawn, key=lambda point: point[1])
        x, y = place(*best)
        anchor = 'end' if x > WIDTH / 2 else 'start'
        side = -9 if anchor == 'end' else 9
        # Beside the line and not on it: below a peak, above a trough.
        shift = 16 if curve.best == 'high' else -9
        parts.append(_dot(x, y, 'best'))
        parts.append(
            tag(
                'text',
                f'{best[1]:.4g}',
                x=f'{x + side:.1f}',
                y=f'{y + shift:.1f}',
                text_anchor=anchor,
                class_='mark',
            )
        )
    parts.append(tag('text', curve.across, x=WIDTH - RIGHT, y=HEIGHT - 4, text_anchor='end'))
    drawing = tag(
        'svg', *parts, viewBox=f'0 0 {WIDTH} {HEIGHT}', class_='chart', role='img', aria_label=curve.title
    )
    return tag('figure', tag('figcaption', curve.title), drawing)


def _binned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = math.ceil(len(points) / MAX_POINTS)
    bins = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in bins]


def ticks(low: float, high: float) -> list[float]:
    """Round values around and between both ends."""
    if high <= low:
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _inside(ticks: Sequence[float], low: float, high: float) -> list[float]:
    return [tick for tick in ticks if low <= tick <= high]


def _horizontal(value: float, y: float) -> Markup:
    line = tag('line', x1=LEFT, x2=WIDTH - RIGHT, y1=f'{y:.1f}', y2=f'{y:.1f}', class_='grid')
    return join((line, tag('text', f'{value:.4g}', x=LEFT - 8, y=f'{y + 4:.1f}', text_anchor='end')))


def _vertical(value: float, x: float) -> Markup:
    return tag(
        'text',
        grouped(value) if value == int(value) else f'{value:g}',
        x=f'{x:.1f}',
        y=HEIGHT - BOTTOM + 17,
        text_anchor='middle',
    )


def _dot(x: float, y: float, class_: str) -> Markup:
    return tag('circle', cx=f'{x:.1f}', cy=f'{y:.1f}', r=4 if class_ == 'best' else 2.2, class_=class_)
