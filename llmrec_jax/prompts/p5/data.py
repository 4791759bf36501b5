"""All of P5 over one corpus: groups, records of every split, and the words that fill them."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.drawn_splits import random_roles
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.corpora.splits import TRAIN, Sequences, Splits
from llmrec_jax.prompts.naming.numbers import RandomNumbers
from llmrec_jax.prompts.naming.scheme import ItemNaming, UserNaming
from llmrec_jax.prompts.p5.groups import P5Prompts
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.prompts.records import event_roles, histories, reviews
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.prompts.records.reviews import FeatureWords
from llmrec_jax.prompts.records.words import absent_fields, word_tables
from llmrec_jax.prompts.template import Template

LOG = logging.getLogger(__name__)

# Takes two corpora; see `P5.transfer`.
_TRANSFER = 'zero_shot_transfer'
AS_RANKING = 'leave_last_out'
REVIEW_SPLITS = (AS_RANKING, 'random')
NEGATIVES = ('outside_history', 'outside_training')


class P5Data(NamedTuple):
    """What P5's tasks over one corpus are made of.

    Attributes:
      training_groups: the groups by name, without held-out templates, with noise on ratings.
      evaluation_groups: the groups by name, all templates, without noise.
      records: split ('train', 'validation', 'test') -> group's name -> its records.
      tables: the words to look rows up in.
      left_out: id of a template that the corpus cannot fill -> why.
      overlap: what the families of reviews show in training of the pairs that ranking holds out.
    """

    training_groups: Mapping[str, PromptGroup]
    evaluation_groups: Mapping[str, PromptGroup]
    records: Mapping[str, Mapping[str, Records]]
    tables: Mapping[str, list[str]]
    left_out: Mapping[str, str]
    overlap: event_roles.Overlap

    def epoch_sizes(self) -> dict[str, int]:
        """Examples of each training group in an epoch: the rates of P5's mixture."""
        return {
            name: group.rate * len(self.records['train'][name])
            for name, group in self.training_groups.items()
        }


class TransferData(NamedTuple):
    """What zero-shot transfer to another corpus is made of; see `P5Data`."""

    group: PromptGroup
    records: Records
    tables: Mapping[str, list[str]]


@dataclasses.dataclass(frozen=True)
class P5:
    """How a corpus becomes P5's five families.

    Attributes:
      prompts: templates, forms and their sizes.
      item_naming: items as words.
      user_naming: users as words.
      review_split: what the families of reviews hold out. 'leave_last_out', what ranking holds out (which is
        another rule's, where the corpus is split by another), so that no family shows it; 'random', as
        published, which shows most of it (see `P5Data.overlap`).
      review_split_seed: of the random split.
      negatives: what a training prompt never shows as a negative. 'outside_history', as published, anything
        the user ever had, held-out items included; 'outside_training', what training knows of alone. The
        first keeps held-out pairs out of every prompt, and is itself knowledge of them: given many epochs
        over a small catalogue, what never comes as a negative must be what is held out.
      sequential_targets: the last items of a training history that may be the target; 3 as published.
      called: see `records.words.word_tables`.
      max_title: characters of a title.
      max_review: characters of a review.
    """

    prompts: P5Prompts = dataclasses.field(default_factory=P5Prompts)
    item_naming: ItemNaming = dataclasses.field(default_factory=RandomNumbers)
    user_naming: UserNaming = dataclasses.field(default_factory=RandomNumbers)
    review_split: str = AS_RANKING
    review_split_seed: int = 0
    negatives: str = 'outside_history'
    sequential_targets: int = 3
    called: str = 'source_id'
    max_title: int = 200
    max_review: int = 1500

    def __post_init__(self):
        for field, allowed in (('review_split', REVIEW_SPLITS), ('negatives', NEGATIVES)):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f'P5.{field} is {getattr(self, field)!r}; expected one of {", ".join(map(repr, allowed))}'
                )
        if self.sequential_targets < 1:
            raise ValueError(f'P5.sequential_targets={self.sequential_targets} must be at least 1')

    def build(self, corpus: Corpus, split: SplitRule = LEAVE_LAST_OUT) -> P5Data:
        """The groups that `corpus` can fill, and their records; says which templates it cannot, and why.

        Args:
          corpus: of the prompts.
          split: what is held out.

        Raises:
          ValueError: when a rating is not on the scale, or the catalogue too small for the candidates.
        """
        cut = split.cut(corpus)
        splits = cut.splits(corpus)
        absent = absent_fields(corpus)
        evaluation, left_out = _fillable(self._groups(training=False), absent)
        training, _ = _fillable(self._groups(training=True), absent)
        _tell(corpus.name, self.prompts.templates, left_out)
        roles = cut.roles if self.review_split == AS_RANKING else random_roles(corpus, self.review_split_seed)
        records = self._records(corpus, splits, roles, tuple(evaluation))
        silent = [name for name in evaluation if name not in records['train']]
        if silent:
            LOG.warning('%s: left out for want of training records: %s', corpus.name, ', '.join(silent))
        return P5Data(
            training_groups={
                name: group.seen() for name, group in training.items() if name in records['train']
            },
            evaluation_groups={name: evaluation[name] for name in evaluation if name in records['train']},
            records=records,
            tables=self._tables(
                corpus,
                self.item_naming.item_names(corpus, splits.train),
                self.user_naming.user_names(corpus, splits.train),
            ),
            left_out=left_out,
            overlap=event_roles.overlap(cut.roles, roles),
        )

    def transfer(self, source: Corpus, target: Corpus, split: SplitRule = LEAVE_LAST_OUT) -> TransferData:
        """Zero-shot transfer: users of `source`, where a model was trained, meet the items of `target`.

        The users are those whose source id both corpora have. All of `target` is held out, since training saw
        none of it.

        Args:
          source: whose users are called as in training.
          target: whose items they meet.
          split: of the source, on whose training part names of users may draw.

        Raises:
          ValueError: when no user is in both, `target` lacks a field that all of the templates name, or a
            rating is not on the scale.
        """
        groups, left_out = _fillable(self.prompts.groups(training=False), absent_fields(target))
        if _TRANSFER not in groups:
            raise ValueError(f'{target.name}: no template of zero-shot transfer can be filled: {left_out}')
        words = FeatureWords.fit(zip(target.events.item.tolist(), target.events.review))
        table = reviews.explained(target, self.prompts.scale, words)
        tables = self._tables(target, target.items.item_id, target.users.user_id)
        names = self.user_naming.user_names(source, split.cut(source).splits(source).train)
        known = self._tables(source, source.items.item_id, names)
        return TransferData(
            group=groups[_TRANSFER],
            records=reviews.transfer(table, target, source),
            tables={**tables, 'user': known['user'], 'user_name': known['user_name']},
        )

    def _groups(self, *, training: bool) -> dict[str, PromptGroup]:
        groups = self.prompts.groups(training=training)
        return {name: group for name, group in groups.items() if name != _TRANSFER}

    def _tables(self, corpus: Corpus, items: Sequence[str], users: Sequence[str]) -> dict[str, list[str]]:
        return word_tables(corpus, items, users, called=self.called, max_title=self.max_title)

    def _records(
        self, corpus: Corpus, splits: Splits, roles: Int[np.ndarray, 'events'], groups: tuple[str, ...]
    ) -> dict[str, dict[str, Records]]:
        whole = histories.distinct_items(Sequences(corpus.events.item, corpus.user_offsets))
        self._check_candidates(corpus, whole)
        in_training = whole if self.negatives == 'outside_history' else histories.distinct_items(splits.train)
        purchases = {
            'train': (
                histories.sequential_training(splits.train, in_training, self.sequential_targets),
                histories.direct_training(splits.train, in_training),
            ),
            **{
                split: (histories.sequential_cases(cases, whole), histories.direct_cases(cases, whole))
                for split, cases in (('validation', splits.validation), ('test', splits.test))
            },
        }
        said = self._said(corpus, roles, groups)
        made = {}
        for split, (sequential, direct) in purchases.items():
            families = {'sequential': sequential, 'direct': direct, **said[split]}
            made[split] = {
                name: families[name.split('_')[0]]
                for name in groups
                if name.split('_')[0] in families and len(families[name.split('_')[0]])
            }
        return made

    def _said(
        self, corpus: Corpus, roles: Int[np.ndarray, 'events'], groups: tuple[str, ...]
    ) -> dict[str, dict[str, Records]]:
        """The families of reviews, each under its name, in every split."""
        scale = self.prompts.scale
        families = {}
        if 'rating_stars' in groups:
            families['rating'] = reviews.rated(corpus, scale)
        if 'review_review' in groups:
            families['review'] = reviews.reviewed(corpus, scale, max_characters=self.max_review)
        if 'explanation_sentence' in groups:
            training = corpus.events.take(np.flatnonzero(roles == TRAIN))
            words = FeatureWords.fit(zip(training.item.tolist(), training.review))
            families['explanation'] = reviews.explained(corpus, scale, words)
        return {
            split: {
                family: table.take(np.flatnonzero(roles[table.columns['event']] == role))
                for family, table in families.items()
            }
            for role, split in enumerate(event_roles.ROLES)
        }

    def _check_candidates(self, corpus: Corpus, own: Sequences) -> None:
        most = int(own.lengths.max(initial=0))
        left = len(corpus.items) - most
        if left < self.prompts.candidates - 1:
            raise ValueError(
                f'{corpus.name}: a user has had {most} of {len(corpus.items)} items, which leaves {left} '
                f'negatives; set P5Prompts.candidates to {left + 1} or less (it is {self.prompts.candidates})'
            )


def _fillable(
    groups: Mapping[str, PromptGroup], absent: Mapping[str, str]
) -> tuple[dict[str, PromptGroup], dict[str, str]]:
    """The groups without the templates that name an absent field; and those templates, with the reason."""
    kept, left_out = {}, {}
    for name, group in groups.items():
        ids = []
        for template in group.templates:
            missing = sorted(template.fields & set(absent))
            if missing:
                left_out[template.id] = '; '.join(dict.fromkeys(absent[field] for field in missing))
            else:
                ids.append(template.id)
        if ids:
            kept[name] = group.only(ids)
    return kept, left_out


def _tell(corpus: str, templates: tuple[Template, ...], left_out: Mapping[str, str]) -> None:
    """One message for each family that loses templates: which, and why."""
    for family in dict.fromkeys(template.family for template in templates):
        ids = [template.id for template in templates if template.family == family]
        lost = [name for name in ids if name in left_out]
        if lost:
            which = 'all' if len(lost) == len(ids) else f'{len(lost)} ({", ".join(lost)})'
            why = '; '.join(sorted({reason for name in lost for reason in left_out[name].split('; ')}))
            LOG.warning(
                '%s: of the %d templates of the family %s, %s are left out: %s',
                corpus,
                len(ids),
                family,
                which,
                why,
            )
