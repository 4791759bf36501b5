"""What systems cost beside what they reach, and the Pareto front of each cost."""

from collections.abc import Sequence

from llmrec_jax.comparison.charts import CostPoint, cost_chart
from llmrec_jax.comparison.comparison import Comparison, MeasuredSystem
from llmrec_jax.comparison.costs import COSTS, CostKind, in_words
from llmrec_jax.evaluation.report.markup import Markup, join, readable, row, section, table, tag
from llmrec_jax.evaluation.report.systems_table import column_title

NOTE = (
    '◆ marks the Pareto front: no other system of the page is better at as little of this cost. Training is '
    'what the steps took, over all parts of a run; preparing texts, semantic IDs and indexes is not in it. '
    'Users a second are those of the evaluation, compilation included. Memory is that of the whole process. '
    'A dash is a cost that was not recorded.'
)
MACHINES_NOTE = 'These runs were made on different machines: their seconds and memory cannot be compared.'


def row_class(one: MeasuredSystem, comparison: Comparison) -> str:
    """What a row is drawn as: the best trained system stands out."""
    if one.name == comparison.trained[0].name:
        return 'headline'
    return 'other' if one.system.kind == 'trained' else one.system.kind


def cost_section(comparison: Comparison) -> Markup:
    """A table of costs and a chart for each, with the front of those that none beats at as little cost."""
    measured, metric = comparison.systems[comparison.position], comparison.metric
    kinds = [kind for kind in COSTS if any(one.costs[kind.name] is not None for one in measured)]
    paying = [one for one in measured if one.system.kind != 'bound']
    rows = [
        row(
            [
                tag('strong', one.label),
                f'{one.metrics[metric]:.4f}',
                *(_cost(one, kind) for kind in kinds),
            ],
            class_=row_class(one, comparison),
        )
        for one in paying
    ]
    charts = [_cost_chart(paying, kind, metric) for kind in kinds]
    machines = {readable(run.results.environment.get('machine')) for run in comparison.runs}
    warning = [tag('p', MACHINES_NOTE, class_='verdict behind')] if len(machines) > 1 else []
    return section(
        'Cost beside quality',
        'costs',
        *warning,
        table(['System', column_title(metric), *(kind.title for kind in kinds)], rows),
        tag('p', NOTE, class_='note'),
        tag('div', *charts, class_='charts'),
    )


def _cost(one: MeasuredSystem, kind: CostKind) -> Markup:
    shown = in_words(one.costs, kind)
    if kind.name not in one.fronts:
        return tag('span', shown)
    return join((tag('span', '◆', class_='front', title='on the Pareto front'), ' ', shown))


def _cost_chart(measured: Sequence[MeasuredSystem], kind: CostKind, metric: str) -> Markup:
    points = []
    for one in measured:
        cost, quality = one.costs[kind.name], one.metrics[metric]
        if cost is not None:
            low, high = one.intervals.get(metric, (quality, quality))
            on_front = kind.name in one.fronts
            points.append(CostPoint(one.label, one.system.kind, float(cost), quality, low, high, on_front))
    title = f'{column_title(metric)} over {kind.title.lower()}'
    return cost_chart(title, kind.unit, points, less_is_better=kind.less_is_better)
