"""A few users to look at: what they had, what came next, and what each system listed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommendations import ABSENT
from llmrec_jax.evaluation.report.markup import Markup, grouped, tag, text
from llmrec_jax.evaluation.report.report_data import ListedItem, ReportData, UserExample

HISTORY_SHOWN = 12


def choose_cases(
    per_user: PerUserResults, system: str, *, k: int, examples: int, seed: int
) -> tuple[Int[np.ndarray, 'chosen'], str]:
    """Rows of the cases to show, half of them hits of `system` where there are enough; the rule in words."""
    rng = np.random.default_rng(seed)
    ranks = per_user.systems[system].target_rank
    hits = rng.permutation(np.flatnonzero((ranks >= 1) & (ranks <= k)))
    misses = rng.permutation(np.flatnonzero((ranks < 1) | (ranks > k)))
    n_hits = min(len(hits), max(examples // 2, examples - len(misses)))
    chosen = np.concatenate([hits[:n_hits], misses[: examples - n_hits]])
    rule = (
        f'{n_hits} users drawn at random from those whose next item {system} lists in its first {k}, '
        f'and {len(chosen) - n_hits} from those where it does not: the shares say nothing about the average.'
    )
    return chosen, rule


def user_examples(
    rows: Int[np.ndarray, 'chosen'],
    cases: RankingCases,
    per_user: PerUserResults,
    titles: Sequence[str],
    item_ids: Sequence[str],
    k: int,
) -> list[UserExample]:
    """What the page shows of these cases; an item without a title is called by its id, a user by its row."""

    def title(item: int) -> str:
        return titles[item] or item_ids[item]

    def listed(found: np.ndarray, target: int) -> list[ListedItem]:
        return [ListedItem(title(int(item)), int(item) == target) for item in found[:k] if item != ABSENT]

    examples = []
    for row in rows.tolist():
        history = cases.histories[row].tolist()
        target = int(cases.target[row])
        examples.append(
            UserExample(
                user=str(cases.user[row]),
                history=[title(item) for item in history[-HISTORY_SHOWN:]],
                left_out=max(len(history) - HISTORY_SHOWN, 0),
                target=title(target),
                lists={name: listed(found.items[row], target) for name, found in per_user.systems.items()},
                target_rank={name: int(found.target_rank[row]) for name, found in per_user.systems.items()},
            )
        )
    return examples


def examples_markup(data: ReportData) -> list[Markup]:
    """One foldable entry a user, the first one open."""
    return [_example(example, data, is_open=number == 0) for number, example in enumerate(data.examples)]


def _example(example: UserExample, data: ReportData, *, is_open: bool) -> Markup:
    older = f'… {example.left_out} older, ' if example.left_out else ''
    systems = sorted(example.lists, key=lambda name: name != data.headline)
    return tag(
        'details',
        tag('summary', tag('strong', f'User {example.user}'), _where(example, data)),
        tag('p', older + ' → '.join(example.history), class_='history'),
        tag('p', 'came next: ', tag('strong', example.target), class_='came'),
        tag('div', *(_list(example, name, data.label(name)) for name in systems), class_='lists'),
        open='open' if is_open else None,
    )


def _where(example: UserExample, data: ReportData) -> Markup:
    headline = data.headline
    if headline not in example.lists:
        return text('')
    is_listed = any(item.is_target for item in example.lists[headline])
    return tag(
        'span',
        f'{data.label(headline)}: {_rank(example.target_rank[headline])}',
        class_='where found' if is_listed else 'where',
    )


def _list(example: UserExample, system: str, called: str) -> Markup:
    entries = [
        tag('li', item.title, class_='target' if item.is_target else None) for item in example.lists[system]
    ]
    heading = tag('h4', called, ' ', tag('span', _rank(example.target_rank[system]), class_='badge'))
    return tag('div', heading, tag('ol', *entries) if entries else tag('p', 'nothing', class_='quiet'))


def _rank(rank: int) -> str:
    return f'rank {grouped(rank)}' if rank else 'not ranked'
