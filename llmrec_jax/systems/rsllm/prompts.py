"""RSLLM's prompts as tokens: titles of a history and of candidates, each before a placeholder of its vector.

Training examples stand in the order in which they are trained on, so that how many prompts hold vectors can
grow with the step.
"""

import dataclasses
import functools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits
from llmrec_jax.evaluation.baselines.counts import item_counts
from llmrec_jax.evaluation.sampled_protocol import NegativeSampler, SampledProtocol
from llmrec_jax.models.injected_decoder.model import HISTORY, ITEMS, TARGET_ITEM
from llmrec_jax.prompts.naming.scheme import distinct
from llmrec_jax.prompts.records.words import cut_texts, one_line
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.training.batches import example_at

Features = dict[str, Int[np.ndarray, '_']]
Candidates = Int[np.ndarray, 'cases candidates']
UNTITLED = 'Untitled item'


@runtime_checkable
class Curriculum(Protocol):
    """A frozen dataclass: which share of the prompts hold vectors, by how much of training is done."""

    def share(self, done: float) -> float:
        """The share, in [0, 1].

        Args:
          done: in [0, 1]; 1 is what the trained model is asked with.
        """


@dataclasses.dataclass(frozen=True)
class Staged:
    """RSLLM's two stages: prompts of text alone, then prompts of text and vectors.

    Attributes:
      text_share: of training that is the first stage; 0 for vectors from the first step on, 1 for none ever.

    Raises:
      ValueError: when it is no share.
    """

    text_share: float = 0.5

    def __post_init__(self):
        if not 0 <= self.text_share <= 1:
            raise ValueError(f'Staged.text_share={self.text_share} must lie in [0, 1]')

    def share(self, done: float) -> float:
        """See `Curriculum`."""
        return float(self.text_share < 1 and done >= self.text_share)


@dataclasses.dataclass(frozen=True)
class Rising:
    """LLaRA's curriculum: at step s of S a prompt holds vectors with probability s / S."""

    def share(self, done: float) -> float:
        """See `Curriculum`."""
        return done


@runtime_checkable
class Vocabulary(Protocol):
    """What prompts are written in; a `TextVocabulary` is one.

    Attributes:
      eos_id: ends an answer.
    """

    eos_id: int

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without an end token."""

    def decode(self, ids: Iterable[SupportsIndex]) -> str:
        """The text of tokens up to the first end."""


@dataclasses.dataclass(frozen=True)
class PromptForm:
    """What prompts say.

    Attributes:
      max_history: the newest items of a history that are shown.
      candidates: items to choose from, the target among them.
      placeholder: the text that vectors stand in for; one token of the vocabulary.
      max_characters: of a title; more are cut off.
      before_history: begins the prompt.
      before_candidates: stands before the candidates.
      before_answer: ends the prompt.
      separator: stands behind each item.

    Raises:
      ValueError: when a number is too small, or a prompt has no end.
    """

    max_history: int = 10
    candidates: int = 20
    placeholder: str = '[ID]'
    max_characters: int = 60
    before_history: str = 'This user has had'
    before_candidates: str = 'Choose the next one from'
    before_answer: str = 'Answer:'
    separator: str = ','

    def __post_init__(self):
        for name, least in (('max_history', 1), ('candidates', 2), ('max_characters', 1)):
            if getattr(self, name) < least:
                raise ValueError(f'PromptForm.{name}={getattr(self, name)} must be at least {least}')
        if not self.before_answer.strip():
            raise ValueError('PromptForm.before_answer is empty, but the answer is decoded behind it')

    @property
    def places(self) -> int:
        """Vectors in a prompt at most."""
        return self.max_history + self.candidates

    @property
    def texts(self) -> tuple[str, ...]:
        """What prompts say beside titles."""
        return self.before_history, self.before_candidates, self.before_answer, self.separator


def item_names(shown: ShownItems, max_characters: int) -> list[str]:
    """What each item is called, no two alike, as vocabularies normalize text."""
    titles = [one_line(unicodedata.normalize('NFKC', title)) for title in shown.title]
    return distinct(
        [title or UNTITLED for title in cut_texts(titles, max_characters, 'titles', shown.item_id)]
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts over a catalogue.

    Attributes:
      form: what they say.
      names: of all items.
      vocabulary: what they are written in.
    """

    form: PromptForm
    names: Sequence[str]
    vocabulary: Vocabulary

    @functools.cached_property
    def placeholder(self) -> int:
        """The token that vectors stand in for.

        Raises:
          ValueError: when the vocabulary has none, or names of items hold it too.
        """
        tokens = self.vocabulary.encode(self.form.placeholder)
        if len(tokens) != 1 or self.vocabulary.decode(tokens).strip() != self.form.placeholder.strip():
            raise ValueError(
                f'PromptForm.placeholder={self.form.placeholder!r} is {len(tokens)} tokens, not one of '
                'its own: name it among TrainedVocabulary.symbols, or take a special token'
            )
        for name, title in zip(self.names, self._titles, strict=True):
            if tokens[0] in title:
                raise ValueError(f'the item {name!r} holds PromptForm.placeholder={self.form.placeholder!r}')
        return tokens[0]

    @functools.cached_property
    def answers(self) -> Int[np.ndarray, 'items length']:
        """What is to be written for each item, ended, and padded with 0."""
        rows = [[*title, self.vocabulary.eos_id] for title in self._titles]
        padded = np.zeros((len(rows), max(map(len, rows))), np.int32)
        for place, row in enumerate(rows):
            padded[place, : len(row)] = row
        return padded

    def prompt(
        self, history: Int[np.ndarray, '_'], shown: Int[np.ndarray, '_'], with_vectors: bool
    ) -> Features:
        """The features of one prompt.

        Args:
          history: rows of items, oldest first.
          shown: rows of the candidates, in their order.
          with_vectors: whether each title is followed by a placeholder.
        """
        known = history[-self.form.max_history :]
        begin, middle, end, _ = self._texts
        told = [*begin, *self._listed(known, with_vectors)]
        inputs = [*told, *middle, *self._listed(shown, with_vectors), *end]
        items = np.concatenate([known, shown]) + 1 if with_vectors else np.zeros(0)
        arrays = {'inputs': inputs, ITEMS: items, HISTORY: [len(told)]}
        return {name: np.asarray(values, np.int32) for name, values in arrays.items()}

    def example(
        self, history: Int[np.ndarray, '_'], shown: Int[np.ndarray, '_'], target: int, with_vectors: bool
    ) -> Features:
        """`prompt`, with what is to be written behind it."""
        answer = self.answers[target]
        return {
            **self.prompt(history, shown, with_vectors),
            'targets': np.trim_zeros(answer, 'b'),
            TARGET_ITEM: np.asarray([target + 1], np.int32),
        }

    def _listed(self, items: Int[np.ndarray, '_'], with_vectors: bool) -> Iterator[int]:
        for item in items.tolist():
            yield from self._titles[item]
            if with_vectors:
                yield self.placeholder
            yield from self._texts[-1]

    @functools.cached_property
    def _titles(self) -> list[list[int]]:
        # Behind a blank, as they stand behind other words: an answer then is what the prompt shows.
        return [self.vocabulary.encode(f' {name}') for name in self.names]

    @functools.cached_property
    def _texts(self) -> tuple[list[int], ...]:
        return tuple(self.vocabulary.encode(text) for text in self.form.texts)


def training_examples(
    prompts: Prompts, train: Sequences, curriculum: Curriculum, examples: int, seed: int
) -> Iterator[Features]:
    """The rows of a store that `training.batches.Batches` reads once, by this seed, along the curriculum.

    Each item of a training history but the first is a target, in epochs, with candidates drawn anew.

    Args:
      prompts: over the catalogue.
      train: training histories.
      curriculum: which share of the prompts hold vectors.
      examples: rows of the store: those of all steps.
      seed: of the order and of the draws.

    Raises:
      ValueError: when no history has two items, or too few items are left for candidates.
    """
    ends = np.cumsum(np.maximum(train.lengths - 1, 0))
    if not len(ends) or not ends[-1]:
        raise ValueError('no training history has two items: there is nothing to predict')
    place_of_row = np.empty(examples, np.int64)
    for place in range(examples):
        place_of_row[example_at(place, examples, seed)] = place
    order, pairs = np.random.default_rng(seed), int(ends[-1])
    pair_of_place = np.concatenate([order.permutation(pairs) for _ in range(-(-examples // pairs))])
    for place in place_of_row.tolist():
        pair = int(pair_of_place[place])
        user = int(np.searchsorted(ends, pair, side='right'))
        history = train[user]
        cut = len(history) - int(ends[user] - pair)
        rng = np.random.default_rng((seed, place))
        with_vectors = bool(rng.random() < curriculum.share(place / examples))
        drawn = draw_items(rng, len(prompts.names), history, prompts.form.candidates - 1)
        shown = rng.permutation(np.append(drawn, history[cut]))
        yield prompts.example(history[:cut], shown, int(history[cut]), with_vectors)


def draw_items(
    rng: np.random.Generator, n_items: int, excluded: Int[np.ndarray, '_'], wanted: int
) -> Int[np.ndarray, 'wanted']:
    """So many items, none of `excluded` and each once.

    Raises:
      ValueError: when there are not so many.
    """
    never = set(excluded.tolist())
    if n_items - len(never) < wanted:
        raise ValueError(
            f'{wanted} candidates are wanted beside the target, but a user has had all but '
            f'{n_items - len(never)} of {n_items} items: lower PromptForm.candidates'
        )
    found: dict[int, None] = {}
    while len(found) < wanted:
        found |= dict.fromkeys(
            item for item in rng.integers(n_items, size=wanted).tolist() if item not in never
        )
    return np.asarray(list(found)[:wanted], np.int64)


def shown_candidates(cases: RankingCases, splits: Splits, n_items: int, wanted: int, seed: int) -> Candidates:
    """The target of each case and items that its user never had, in a drawn order; the same for all systems.

    Args:
      cases: who is asked about.
      splits: of the corpus.
      n_items: size of the catalogue.
      wanted: candidates of each.
      seed: of the draws.

    Raises:
      ValueError: when a user has had so many items that too few are left.
    """
    protocol = SampledProtocol(negatives=wanted - 1, excluded='sequence', seed=seed)
    sampler = NegativeSampler(protocol, splits, item_counts(splits.train, n_items))
    shown = np.empty((len(cases), wanted), np.int64)
    for row in range(len(cases)):
        order = np.random.default_rng((seed, int(cases.user[row]), wanted)).permutation(wanted)
        shown[row] = np.append(sampler.negatives(cases, row), cases.target[row])[order]
    return shown
