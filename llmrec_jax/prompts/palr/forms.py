"""PALR's instructions and what fills them: recommend from the history alone, and choose from candidates.

The paper's own wording is not public; these keep its parts: the task, the profile's keywords, up to twenty
titles of history, the candidates, and a comma-separated list of quoted titles as the answer.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.prompt_group import Filling
from llmrec_jax.prompts.template import Listing, Template

FAMILY = 'palr'
RECOMMEND, RECOMMEND_RETRIEVAL = 'recommend', 'recommend_retrieval'
# Evaluates alone: asks as the second instruction does, of candidates that are drawn as in training.
RECOMMEND_DRAWN = 'recommend_drawn'
_HISTORY = Listing('{history_title}', ' | ')
_CANDIDATES = Listing('{candidate_title}', ' | ')
_ANSWER = Listing('"{target_title}"', ', ')

TEMPLATES = (
    Template(
        id='recommend',
        family=FAMILY,
        group=RECOMMEND,
        inputs='Recommend {wanted} other items based on the history. {profile}History: {history}.',
        targets='{answer}',
        lists={'history': _HISTORY, 'answer': _ANSWER},
    ),
    Template(
        id='recommend_retrieval',
        family=FAMILY,
        group=RECOMMEND_RETRIEVAL,
        inputs='Recommend {wanted} of the candidates based on the history. {profile}History: {history}. '
        'Candidates: {candidates}.',
        targets='{answer}',
        lists={'history': _HISTORY, 'candidates': _CANDIDATES, 'answer': _ANSWER},
    ),
)


def profile_text(keywords: tuple[str, ...]) -> str:
    """What the prompts say of a user's keywords, with a blank behind it; '' of none."""
    return f'The user likes {", ".join(keywords)}. ' if keywords else ''


LIST_FIELDS = frozenset({'wanted', 'profile', 'history_title', 'target_title'})


@dataclasses.dataclass(frozen=True)
class FollowingItems:
    """The items that follow a history.

    A record has `user` (row), `history` (rows, oldest first) and `targets` (rows, one at least). The tables
    have names by row ('item'), what is said of each user ('profile'), and how many items are asked for
    ('wanted', one text).
    """

    fields: ClassVar[frozenset[str]] = LIST_FIELDS

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are `user` and `item`, the first of the targets."""
        ops = draws.ops
        texts = {
            'wanted': ops.take(tables['wanted'], 0),
            'profile': ops.take(tables['profile'], record['user']),
            'history_title': ops.take(tables['item'], record['history']),
            'target_title': ops.take(tables['item'], record['targets']),
        }
        return Filling(texts, {'user': record['user'], 'item': record['targets'][0]})


@dataclasses.dataclass(frozen=True)
class FollowingItemsOfCandidates:
    """The items that follow a history, among hard negatives and random ones, in a drawn order.

    A record has what `FollowingItems` asks for; `hard` (rows in any order: the hard negatives to draw from)
    and `excluded` (rows, ascending: no random negatives, all of `hard` and `targets` among them).

    Attributes:
      candidates: how many are shown, all targets among them.
      hard_share: of the candidates that are no targets, the share that are hard negatives, as far as the
        record has as many; too easy a choice teaches nothing.

    Raises:
      ValueError: when `hard_share` is no share.
    """

    candidates: int = 50
    hard_share: int | float = 0.5
    fields: ClassVar[frozenset[str]] = LIST_FIELDS | {'candidate_title'}

    def __post_init__(self):
        if not 0 <= self.hard_share <= 1:
            raise ValueError(f'hard_share={self.hard_share} of the negatives must lie in 0..1')

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are those of `FollowingItems` and `candidates`, as shown."""
        ops, targets, pool = draws.ops, record['targets'], record['hard']
        negatives = self.candidates - ops.size(targets)
        ops.require(negatives >= 0, 'a record has more targets than candidates are to be shown')
        # In thousandths, because both sides must round alike.
        hard = ops.minimum(ops.size(pool), negatives * round(1000 * self.hard_share) // 1000)
        # The pool stands in a drawn order, so that what follows any place of it is a draw as well.
        start = draws.integer('hard', ops.maximum(ops.size(pool), 1))
        places = (start + ops.arange(hard)) % ops.maximum(ops.size(pool), 1)
        catalogue = tables['item'].shape[0]
        random = draws.sample_outside('random', catalogue, record['excluded'], negatives - hard)
        chosen = ops.concat([targets, ops.take(pool, places), random])
        none = ops.arange(0)
        shown = ops.take(chosen, draws.sample_outside('order', self.candidates, none, self.candidates))
        filling = FollowingItems()(record, tables, draws)
        return Filling(
            {**filling.texts, 'candidate_title': ops.take(tables['item'], shown)},
            {**filling.features, 'candidates': shown},
        )


@dataclasses.dataclass(frozen=True)
class FollowingItemsOfRetrieved:
    """The item that follows a history, beside candidates that a retriever found, in the order they stand in.

    A record has what `FollowingItems` asks for and `candidates` (rows in the order to be shown), among which
    the target need not be.
    """

    fields: ClassVar[frozenset[str]] = FollowingItemsOfCandidates.fields

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are those of `FollowingItemsOfCandidates`."""
        filling = FollowingItems()(record, tables, draws)
        shown = record['candidates']
        return Filling(
            {**filling.texts, 'candidate_title': draws.ops.take(tables['item'], shown)},
            {**filling.features, 'candidates': shown},
        )
