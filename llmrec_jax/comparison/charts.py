"""Charts of a comparison as inline SVG, drawn in the page's own colours."""

import dataclasses
import math
from collections.abc import Callable, Sequence

from llmrec_jax.evaluation.report.line_chart import ticks
from llmrec_jax.evaluation.report.markup import Markup, grouped, join, tag

WIDTH, HEIGHT = 520.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 20.0, 18.0, 40.0
LETTER, LINE = 6.2, 13.0
ROW = 26.0


@dataclasses.dataclass(frozen=True)
class CostPoint:
    """A system in a plane of cost and quality.

    Attributes:
      name: of the system.
      kind: what sort of system it is, which gives the colour.
      cost: 0 or more; 0 stands at the edge, apart from the others.
      quality: the metric.
      low: lower end of its interval.
      high: upper end.
      on_front: whether none is better at as little cost.
    """

    name: str
    kind: str
    cost: float
    quality: float
    low: float
    high: float
    on_front: bool


def cost_chart(title: str, unit: str, points: Sequence[CostPoint], *, less_is_better: bool) -> Markup:
    """Quality over cost, the front as a line of steps; empty where there are fewer than two points.

    Args:
      title: what is paid.
      unit: of it.
      points: the systems.
      less_is_better: whether a small cost is the good one.
    """
    if len(points) < 2:
        return Markup('')
    y_ticks = ticks(min(point.low for point in points), max(point.high for point in points))
    across, x_ticks = _across([point.cost for point in points])

    def up(quality: float) -> float:
        share = (quality - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [_horizontal(tick, up(tick)) for tick in y_ticks]
    parts += [_below(said, x) for said, x in x_ticks]
    parts.append(_front([(across(p.cost), up(p.quality)) for p in points if p.on_front], less_is_better))
    # Before the points, which the names must not cover.
    parts += _labels([(point.name, across(point.cost), up(point.quality)) for point in points])
    for point in points:
        x = across(point.cost)
        parts.append(_line(x, up(point.low), x, up(point.high), 'whisker'))
        parts.append(_circle(x, up(point.quality), 4.2, point.kind))
        if point.on_front:
            parts.append(_circle(x, up(point.quality), 7.5, 'ring'))
    direction = 'less is better' if less_is_better else 'more is better'
    axis = f'{unit + ", " if unit else ""}{direction}'
    parts.append(tag('text', axis, x=WIDTH - RIGHT, y=HEIGHT - 4, text_anchor='end'))
    return _figure(title, parts, WIDTH, HEIGHT)


def difference_chart(title: str, rows: Sequence[tuple[str, str, float, float, float]]) -> Markup:
    """Differences with their intervals, one a row, and a line at 0; empty where there are none.

    Args:
      title: of the chart.
      rows: (name, kind, difference, low, high) of each system.
    """
    if not rows:
        return Markup('')
    names = LETTER * max(len(name) for name, *_ in rows) + 24
    width, height = WIDTH + names, TOP + ROW * len(rows) + BOTTOM
    x_ticks = ticks(min(0.0, *(low for *_, low, _ in rows)), max(0.0, *(high for *_, high in rows)))

    def across(value: float) -> float:
        return names + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (width - names - 3 * RIGHT)

    bottom = height - BOTTOM
    parts = [_line(across(tick), TOP, across(tick), bottom, 'grid') for tick in x_ticks]
    parts += [
        tag(
            'text',
            f'{tick:+.3g}' if tick else '0',
            x=f'{across(tick):.1f}',
            y=bottom + 17,
            text_anchor='middle',
        )
        for tick in x_ticks
    ]
    parts.append(_line(across(0.0), TOP, across(0.0), bottom, 'zero'))
    for place, (name, kind, difference, low, high) in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        parts.append(
            tag('text', name, x=f'{names - 12:.1f}', y=f'{y + 4:.1f}', text_anchor='end', class_='name')
        )
        parts.append(_line(across(low), y, across(high), y, 'whisker'))
        parts.append(_circle(across(difference), y, 4.2, kind))
    return _figure(title, parts, width, height)


def _across(costs: Sequence[float]) -> tuple[Callable[[float], float], list[tuple[str, float]]]:
    """Where a cost stands on a scale of powers of ten, who pays nothing at its edge; and the ticks."""
    paid = [cost for cost in costs if cost > 0]
    edge = LEFT + (70 if len(paid) < len(costs) else 24)
    low, high = math.log10(min(paid, default=1.0)), math.log10(max(paid, default=1.0))
    if high - low < 0.3:
        low, high = low - 0.15, high + 0.15

    def across(cost: float) -> float:
        if cost <= 0:
            return LEFT + 24
        # Room at the right for the names.
        return edge + (math.log10(cost) - low) / (high - low) * (WIDTH - RIGHT - 96 - edge)

    if high - low < 0.7:
        marks = [tick for tick in ticks(10**low, 10**high) if tick > 0]
    else:
        factors = (1, 2, 5) if high - low < 2 else (1,)
        powers = range(math.floor(low), math.ceil(high) + 1)
        marks = [factor * 10.0**power for power in powers for factor in factors]
    shown = [(_cost_text(mark), across(mark)) for mark in marks if low <= math.log10(mark) <= high]
    return across, [*([('none', across(0.0))] if len(paid) < len(costs) else []), *shown]


def _cost_text(value: float) -> str:
    for power, letter in ((9, 'G'), (6, 'M'), (3, 'k')):
        if value >= 10**power:
            return f'{value / 10**power:g}{letter}'
    return grouped(value) if value >= 1 else f'{value:g}'


def _front(points: Sequence[tuple[float, float]], less_is_better: bool) -> Markup:
    """The edge of what can be had: at a cost, the best quality of whoever costs no more."""
    ordered = sorted(points)
    corners: list[tuple[float, float]] = []
    for x, y in ordered:
        if corners:
            corners.append((x, corners[-1][1]) if less_is_better else (corners[-1][0], y))
        corners.append((x, y))
    path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in corners)
    return tag('polyline', points=path, class_='front')


def _labels(points: Sequence[tuple[str, float, float]]) -> list[Markup]:
    """Names beside their points, moved down or up until none stands on a point or another name."""
    taken = [(x - 8, y - 8, x + 8, y + 8) for _, x, y in points]
    placed = []
    for name, x, y in sorted(points, key=lambda point: point[2]):
        width = LETTER * len(name)
        left = x + 10 if x + 10 + width < WIDTH else x - 10 - width
        # Above its point's height, where a front that goes on to the right leaves it readable.
        boxes = (
            (left, y + shift - LINE, left + width, y + shift)
            for shift in sorted(range(-int(HEIGHT), int(HEIGHT), int(LINE) // 2), key=abs)
        )
        free = (box for box in boxes if not any(_overlap(box, other) for other in taken))
        box = next(free, (left, y - LINE, left + width, y))
        taken.append(box)
        placed.append(tag('text', name, x=f'{left:.1f}', y=f'{box[3] - 3:.1f}', class_='name'))
    return placed


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _horizontal(value: float, y: float) -> Markup:
    said = tag('text', f'{value:.4g}', x=LEFT - 8, y=f'{y + 4:.1f}', text_anchor='end')
    return join((_line(LEFT, y, WIDTH - RIGHT, y, 'grid'), said))


def _below(said: str, x: float) -> Markup:
    return tag('text', said, x=f'{x:.1f}', y=HEIGHT - BOTTOM + 17, text_anchor='middle')


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    ends = {'x1': x1, 'y1': y1, 'x2': x2, 'y2': y2}
    return tag('line', **{name: f'{value:.1f}' for name, value in ends.items()}, class_=class_)


def _circle(x: float, y: float, radius: float, class_: str) -> Markup:
    return tag('circle', cx=f'{x:.1f}', cy=f'{y:.1f}', r=radius, class_=class_)


def _figure(title: str, parts: Sequence[Markup], width: float, height: float) -> Markup:
    drawing = tag(
        'svg', *parts, viewBox=f'0 0 {width:.0f} {height:.0f}', class_='chart', role='img', aria_label=title
    )
    return tag('figure', tag('figcaption', title), drawing)
