"""Family 5: what to recommend to a user, without their history in the prompt."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import CANDIDATE_FIELDS, Draws, with_negatives
from llmrec_jax.prompts.p5.names import ITEM_FIELDS, USER_FIELDS, item_texts, user_texts
from llmrec_jax.prompts.prompt_group import Filling, PromptGroup
from llmrec_jax.prompts.template import Listing, Template


@dataclasses.dataclass(frozen=True)
class RecommendationQuestion:
    """Whether to recommend an item: one that the user has in half of the draws, else one they never had.

    A record has `user` (row), `positives` (rows: the items that may be asked about) and `own`; see
    `draws.with_negatives`.
    """

    fields: ClassVar[frozenset[str]] = USER_FIELDS | ITEM_FIELDS | {'yes_no'}

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are `user` and `item`, the one asked about."""
        ops = draws.ops
        yes = draws.coin('answer')
        positive = _positive(record, draws)
        negative = draws.sample_outside('negatives', tables['item'].shape[0], record['own'], 1)[0]
        asked = ops.choose(yes, positive, negative)
        texts = {
            **user_texts(ops, tables, record['user']),
            **item_texts(ops, tables, asked),
            'yes_no': ops.choose(yes, 'yes', 'no'),
        }
        return Filling(texts, {'user': record['user'], 'item': asked})


@dataclasses.dataclass(frozen=True)
class AskedRecommendation:
    """Whether to recommend a given item, for ranking candidates by the probability of 'yes'.

    A record has `user`, `item` (rows) and `answer`, 1 for yes and 0 for no; see
    `records.histories.asked_candidates`.
    """

    fields: ClassVar[frozenset[str]] = RecommendationQuestion.fields

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are `user`, `item` and `answer`."""
        ops = draws.ops
        texts = {
            **user_texts(ops, tables, record['user']),
            **item_texts(ops, tables, record['item']),
            'yes_no': ops.choose(record['answer'] == 1, 'yes', 'no'),
        }
        return Filling(texts, {name: record[name] for name in ('user', 'item', 'answer')})


def asked(questions: PromptGroup) -> PromptGroup:
    """The yes/no questions of a group, asked about given items instead of drawn ones."""
    return dataclasses.replace(questions, form=AskedRecommendation(), rate=1)


@dataclasses.dataclass(frozen=True)
class RecommendationOfCandidates:
    """The one of the candidates that the user has.

    A record has what `RecommendationQuestion` asks for.

    Attributes:
      candidates: how many, the target among them.
    """

    candidates: int = 100
    fields: ClassVar[frozenset[str]] = USER_FIELDS | CANDIDATE_FIELDS | {'item'}

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are `user`, `item` (the target) and `candidates` (rows)."""
        ops = draws.ops
        target = _positive(record, draws)
        candidates = with_negatives(target, record['own'], tables, draws, self.candidates)
        texts = {
            **user_texts(ops, tables, record['user']),
            'item': ops.take(tables['item'], target),
            'candidate': ops.take(tables['item'], candidates),
        }
        return Filling(texts, {'user': record['user'], 'item': target, 'candidates': candidates})


def _positive(record: Mapping[str, Array], draws: Draws) -> Array:
    positives = record['positives']
    return positives[draws.integer('positive', draws.ops.size(positives))]


_CANDIDATES = {'candidates': Listing('{candidate}', ' , ')}


def _whether(number: int, inputs: str) -> Template:
    return Template(f'5-{number}', 'direct', 'yes_no', inputs, '{yes_no}')


def _among(number: int, inputs: str, held_out: bool = False) -> Template:
    return Template(f'5-{number}', 'direct', 'candidates', inputs, '{item}', held_out, _CANDIDATES)


TEMPLATES = (
    _whether(1, 'Is {item} something for {user} ?'),
    _whether(2, 'Would {user_name} be glad if we recommended {item} ?'),
    _whether(3, 'Would {user_name} be glad if we recommended "{title}"?'),
    _whether(4, 'We look for something to recommend to {user} . Would "{title}" do?'),
    _among(5, 'Out of these, recommend one to {user_name}: {candidates}'),
    _among(6, 'Which of the following suits {user_name} best? {candidates}'),
    _among(7, 'Out of these, find the one to recommend to {user} : {candidates}'),
    _among(8, 'We have something for {user} among these; say which: {candidates}', held_out=True),
)
