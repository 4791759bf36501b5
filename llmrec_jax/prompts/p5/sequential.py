"""Family 2: what a user buys next, given what they bought before."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import CANDIDATE_FIELDS, Draws, with_negatives
from llmrec_jax.prompts.p5.names import USER_FIELDS, user_texts
from llmrec_jax.prompts.prompt_group import Filling
from llmrec_jax.prompts.template import Listing, Template

HISTORY_FIELDS = frozenset({'history_item', 'separator'})


def _history(
    record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws, max_history: int
) -> tuple[dict[str, Array], Array, Array]:
    """Draws a target and a window before it: the texts, the window's items, the target.

    The target is any of `items` from `first_target` on, the window begins with any of the first
    `last_start` + 1, and keeps its newest `max_history` items. In training P5 takes one of the last three
    items as the target and one of the first three as the start.
    """
    ops, items, first_target = draws.ops, record['items'], record['first_target']
    target = first_target + draws.integer('target', ops.size(items) - first_target)
    # Two items at least, where there are two.
    latest_start = ops.maximum(ops.minimum(record['last_start'], target - 2), 0)
    start = ops.maximum(draws.integer('start', latest_start + 1), target - max_history)
    history = items[start:target]
    texts = {
        **user_texts(ops, tables, record['user']),
        'history_item': ops.take(tables['item'], history),
        'separator': ops.choose(draws.coin('separator'), ' , ', ' -> '),
    }
    return texts, history, items[target]


@dataclasses.dataclass(frozen=True)
class NextItemForm:
    """The next item's name.

    A record has `user` (row), `items` (rows, oldest first), `first_target` and `last_start`; see
    `records.histories`.

    Attributes:
      max_history: the newest items that the input shows.
    """

    max_history: int = 20
    fields: ClassVar[frozenset[str]] = USER_FIELDS | HISTORY_FIELDS | {'item'}

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are `user`, `item` (the target) and `history`."""
        texts, history, target = _history(record, tables, draws, self.max_history)
        texts['item'] = draws.ops.take(tables['item'], target)
        return Filling(texts, {'user': record['user'], 'item': target, 'history': history})


@dataclasses.dataclass(frozen=True)
class NextItemOfCandidates:
    """The next item among candidates, all others of which the user never had.

    A record has what `NextItemForm` asks for, and `own`; see `draws.with_negatives`.

    Attributes:
      max_history: the newest items that the input shows.
      candidates: how many, the target among them.
    """

    max_history: int = 20
    candidates: int = 100
    fields: ClassVar[frozenset[str]] = NextItemForm.fields | CANDIDATE_FIELDS

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are those of `NextItemForm` and `candidates` (rows)."""
        ops = draws.ops
        texts, history, target = _history(record, tables, draws, self.max_history)
        candidates = with_negatives(target, record['own'], tables, draws, self.candidates)
        texts['item'] = ops.take(tables['item'], target)
        texts['candidate'] = ops.take(tables['item'], candidates)
        return Filling(
            texts, {'user': record['user'], 'item': target, 'history': history, 'candidates': candidates}
        )


@dataclasses.dataclass(frozen=True)
class NextItemQuestion:
    """Whether an item comes next: it does in half of the draws, and was never had in the other half.

    A record has what `NextItemOfCandidates` asks for.

    Attributes:
      max_history: the newest items that the input shows.
    """

    max_history: int = 20
    fields: ClassVar[frozenset[str]] = NextItemForm.fields | {'yes_no'}

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; features as of `NextItemForm`, `item` being the one asked about."""
        ops = draws.ops
        texts, history, target = _history(record, tables, draws, self.max_history)
        yes = draws.coin('answer')
        negative = draws.sample_outside('negatives', tables['item'].shape[0], record['own'], 1)[0]
        asked = ops.choose(yes, target, negative)
        texts['item'] = ops.take(tables['item'], asked)
        texts['yes_no'] = ops.choose(yes, 'yes', 'no')
        return Filling(texts, {'user': record['user'], 'item': asked, 'history': history})


_HISTORY = {'history': Listing('{history_item}', '{separator}')}
_CANDIDATES = {**_HISTORY, 'candidates': Listing('{candidate}', ' , ')}


def _next(number: int, inputs: str, held_out: bool = False) -> Template:
    return Template(f'2-{number}', 'sequential', 'next_item', inputs, '{item}', held_out, _HISTORY)


def _among(number: int, inputs: str) -> Template:
    return Template(f'2-{number}', 'sequential', 'candidates', inputs, '{item}', lists=_CANDIDATES)


def _whether(number: int, inputs: str) -> Template:
    return Template(f'2-{number}', 'sequential', 'yes_no', inputs, '{yes_no}', lists=_HISTORY)


TEMPLATES = (
    _next(1, '{user} bought, in this order: {history} . Name the item that comes next.'),
    _next(2, 'These are the purchases of {user} so far: {history} . What do you recommend as the next one?'),
    _next(3, 'History of {user} : {history} . Next item:'),
    _next(4, '{user_name} bought, in this order: {history} . Name the item that comes next.'),
    _next(5, 'Knowing that {user_name} has bought {history} , decide what is bought after that.'),
    _next(6, 'Purchases of {user_name} so far: {history} . What do you recommend as the next one?'),
    _among(7, '{user} bought, in this order: {history} . Which of these comes next? {candidates}'),
    _among(8, 'Purchases of {user_name} so far: {history} . Recommend the next one out of: {candidates}'),
    _among(9, 'Knowing that {user} has bought {history} , pick the next purchase from: {candidates}'),
    _among(
        10, 'These are the purchases of {user_name}: {history} . Select what to recommend now: {candidates}'
    ),
    _whether(11, '{user} bought, in this order: {history} . Is {item} the next purchase?'),
    _whether(12, 'Knowing that {user_name} has bought {history} , will {item} be bought after that?'),
    _next(13, 'Carry on the list of purchases of {user_name}: {history} . One item more:', held_out=True),
)
