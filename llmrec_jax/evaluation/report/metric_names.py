"""What metrics of answers are called in tables, and which way they are better."""

import re
from collections.abc import Mapping, Sequence

_RANKING = ('hit_rate', 'ndcg', 'valid_id_rate', 'duplicate_rate')
_TITLES = {
    'rmse': 'RMSE',
    'mae': 'MAE',
    'rmse_of_expectation': 'RMSE of expectation',
    'rmse_of_parsed': 'RMSE of parsed',
    'mae_of_parsed': 'MAE of parsed',
    'mae_of_expectation': 'MAE of expectation',
    'parse_rate': 'Parsed',
    'accuracy': 'Accuracy',
    'accuracy_of_parsed': 'Accuracy of parsed',
    'auc': 'AUC',
    'rouge1': 'ROUGE-1',
    'rouge2': 'ROUGE-2',
    'rougeL': 'ROUGE-L',
    'exact_match': 'Exact',
    'sacrebleu': 'sacreBLEU',
    'hit_rate': 'HR',
    'ndcg': 'NDCG',
    'valid_id_rate': 'Valid ids',
    'duplicate_rate': 'Duplicates',
}
_LOWER = ('rmse', 'mae', 'duplicate_rate')
# Rates that say how a number came about, and rank nobody.
_NEUTRAL = ('parse_rate',)
_PERCENT = ('bleu', 'rouge', 'sacrebleu')
_PARTS = re.compile(r'(?P<free>unconstrained_)?(?P<name>.+?)(?:@(?P<k>\d+))?(?:_of_(?P<n>\d+))?')


def ranking_metrics(rows: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """The metrics of `rows` that a table of ranked items shows, the deepest hit rate first."""
    present = dict.fromkeys(metric for row in rows for metric in row)
    main = deepest_hit_rate(rows)
    cuts = sorted((metric for metric in present if _parts(metric)['k']), key=_ranking_order)
    # NDCG at 1 is the hit rate at 1.
    cuts = [metric for metric in cuts if (_parts(metric)['name'], _parts(metric)['k']) != ('ndcg', '1')]
    rates = sorted((metric for metric in present if not _parts(metric)['k']), key=_ranking_order)
    return (main, *(metric for metric in (*cuts, *rates) if metric != main))


def deepest_hit_rate(rows: Sequence[Mapping[str, float]]) -> str:
    """The hit rate with the deepest cut-off.

    Raises:
      ValueError: when no row has any.
    """
    present = dict.fromkeys(metric for row in rows for metric in row)
    hits = [metric for metric in present if metric.startswith('hit_rate@')]
    if not hits:
        raise ValueError(f'ranked items have no hit rate; there are {sorted(present)}')
    return max(hits, key=lambda metric: int(_parts(metric)['k']))


def title(metric: str) -> str:
    """'hit_rate@10_of_100' as 'HR@10 of 100'."""
    parts = _parts(metric)
    name = parts['name']
    shown = f'BLEU-{name[4:]}' if name.startswith('bleu') else _TITLES.get(name, name.replace('_', ' '))
    shown += f'@{parts["k"]}' if parts['k'] else ''
    shown += f' of {parts["n"]}' if parts['n'] else ''
    return f'{shown}, unconstrained' if parts['free'] else shown


def formatted(metric: str, value: float) -> str:
    """The value with as many digits as its kind is given with."""
    return f'{value:.2f}' if metric.startswith(_PERCENT) else f'{value:.4f}'


def leads(metric: str, value: float, other: float) -> bool:
    """Whether `value` is better than `other`, neither equal nor worse."""
    return value < other if _lower(metric) else value > other


def which_is_best(metric: str, values: Sequence[float]) -> int | None:
    """Place of the best value; None where there is none, or the metric ranks nobody."""
    if not values or _parts(metric)['name'] in _NEUTRAL:
        return None
    return min(range(len(values)), key=lambda place: values[place] if _lower(metric) else -values[place])


def _lower(metric: str) -> bool:
    name = _parts(metric)['name']
    return name.removesuffix('_of_parsed').removesuffix('_of_expectation') in _LOWER


def _ranking_order(metric: str) -> tuple[bool, int, int, str]:
    parts = _parts(metric)
    name = parts['name']
    kind = _RANKING.index(name) if name in _RANKING else len(_RANKING)
    return parts['free'] is not None, kind, int(parts['k'] or 0), metric


def _parts(metric: str) -> dict[str, str | None]:
    return _PARTS.fullmatch(metric).groupdict()
