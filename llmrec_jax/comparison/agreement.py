"""Whether runs can be compared: one corpus, one protocol, the same users, and so the same floors."""

import json
from collections.abc import Sequence

import numpy as np

from llmrec_jax.comparison.finished_run import FinishedRun
from llmrec_jax.comparison.settings import differences, values_by_path
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, Protocol

_SHOWN = 8


def shared_positions(runs: Sequence[FinishedRun]) -> list[str]:
    """The positions of seen items that all runs were asked under, the protocol's own first.

    Raises:
      ValueError: naming what differs, when two runs are of other corpora, protocols, splits or users.
    """
    first, *others = runs
    for other in others:
        _check_corpora(first, other)
        _check_protocols(first, other)
    main = first.results.protocol['seen_items']
    shared = [
        position
        for position in sorted(SEEN_ITEMS, key=lambda position: position != main)
        if all(position in run.answers for run in runs)
    ]
    if not shared:
        asked = '; '.join(f'{run.folder}: {", ".join(run.answers)}' for run in runs)
        raise ValueError(f'there is no position of seen items that all were asked under ({asked})')
    for other in others:
        for position in shared:
            _check_users(first, other, position)
    return shared


def _check_corpora(one: FinishedRun, other: FinishedRun) -> None:
    of_one, of_other = one.results.corpus, other.results.corpus
    if of_one.get('fingerprint') == of_other.get('fingerprint'):
        return
    told = differences([values_by_path(of_one), values_by_path(of_other)])
    differing = [
        f'{name} {_short(told[0].get(name))} and {_short(told[1].get(name))}'
        for name in dict.fromkeys([*told[0], *told[1]])
    ]
    raise ValueError(f'{one.folder} and {other.folder} are of other corpora: {"; ".join(differing[:_SHOWN])}')


def _check_protocols(one: FinishedRun, other: FinishedRun) -> None:
    # What a system adds of its own, as how many candidates it is shown, is no rule of the comparison.
    for name in Protocol().as_dict():
        of_one, of_other = (run.results.protocol.get(name) for run in (one, other))
        if of_one != of_other:
            raise ValueError(
                f'{one.folder} and {other.folder} are of other protocols: {name} is {_short(of_one)} and '
                f'{_short(of_other)}'
            )


def _check_users(one: FinishedRun, other: FinishedRun, position: str) -> None:
    of_one, of_other = one.answers[position], other.answers[position]
    if not np.array_equal(of_one.user, of_other.user):
        shared = len(np.intersect1d(of_one.user, of_other.user))
        raise ValueError(
            f'{one.folder} and {other.folder} were asked about other users: {len(of_one.user)} and '
            f'{len(of_other.user)}, of whom {shared} are the same'
        )
    differing = int((of_one.target != of_other.target).sum())
    if differing:
        raise ValueError(
            f'{one.folder} and {other.folder} are of other splits: of {len(of_one.user)} users, {differing} '
            'have another item to be predicted'
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
