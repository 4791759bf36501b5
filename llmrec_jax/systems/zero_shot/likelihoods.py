"""How likely a language model finds a title after a prompt that names what was liked.

Sanner et al., 2023: the candidate's score is the log-likelihood of its title. Short and famous titles are
likely after any prompt, so that the likelihood after a neutral one, the prior, may be subtracted.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, likelihoods
from llmrec_jax.text.tokenizer_vocabulary import PAD, TokenizerVocabulary

# Lengths are rounded up, so that few programs are compiled.
PROMPT_STEP, TITLE_STEP = 32, 8
# Titles scored after the neutral prompt at once.
PRIORS = 32


@dataclasses.dataclass(frozen=True)
class TitlePrompt:
    """What the model reads, and how a title goes on.

    Attributes:
      asking: the prompt, with '{liked}' for the titles of the history.
      neutral: what stands in its place where nothing is known.
      title: a title as it follows either, with '{title}'; what stands behind it counts, so that no title is
        likely for being the beginning of another.
      separator: between the titles of the history.
      max_history: the newest items that are shown.

    Raises:
      ValueError: when a place is missing, or no item is shown.
    """

    asking: str
    neutral: str
    title: str
    separator: str = ', '
    max_history: int = 6

    def __post_init__(self):
        for name, place in (('asking', '{liked}'), ('title', '{title}')):
            if getattr(self, name).count(place) != 1:
                raise ValueError(f'TitlePrompt.{name}={getattr(self, name)!r} must have one {place}')
        if self.max_history < 1:
            raise ValueError(f'TitlePrompt.max_history={self.max_history} must be at least 1')

    def of(self, titles: Sequence[str]) -> str:
        """The prompt of somebody who liked these, oldest first."""
        return self.asking.replace('{liked}', self.separator.join(titles[-self.max_history :]))

    def continued(self, title: str) -> str:
        """A title as it follows the prompt."""
        return self.title.replace('{title}', title)


@dataclasses.dataclass(frozen=True, eq=False)
class TitleLikelihoods(DenseRecommender):
    """Scores given candidates, or the whole catalogue; a prompt is read once for all that follows it.

    Attributes:
      placed: the network, whose inputs begin with what is read first.
      vocabulary: its tokenizer.
      titles: of all items.
      prompt: what is asked.
      subtracts_prior: whether the likelihood after the neutral prompt is subtracted.
      per_token: whether it is the mean over a title's tokens in place of their sum.
      batch_size: prompts at once.

    Raises:
      ValueError: when a title's last token would be taken for padding.
    """

    placed: PlacedModel
    vocabulary: TokenizerVocabulary
    titles: Sequence[str]
    prompt: TitlePrompt
    subtracts_prior: bool = True
    per_token: bool = False
    batch_size: int = 16

    @property
    def n_items(self) -> int:
        """See `DenseRecommender`."""
        return len(self.titles)

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        return np.stack(self.candidate_scores(histories, [np.arange(self.n_items)] * len(histories)))

    def for_users(self, user_ids: Sequence[str]) -> 'TitleLikelihoods':
        """See `rank.TrainedRecommender.for_users`; a prompt names no user."""
        del user_ids
        return self

    def candidate_scores(
        self, histories: Sequences, candidates: Sequence[Int[np.ndarray, '_']]
    ) -> list[Float[np.ndarray, '_']]:
        """See `CandidateRecommender.candidate_scores`."""
        prompts = [
            self._read(self.prompt.of([self.titles[item] for item in histories[row].tolist()]))
            for row in range(len(histories))
        ]
        found = self._likelihoods(prompts, candidates)
        if self.subtracts_prior:
            asked = np.unique(np.concatenate(list(candidates)))
            prior = self._prior(asked)
            found = [one - prior[np.searchsorted(asked, row)] for one, row in zip(found, candidates)]
        if self.per_token:
            lengths = [[len(self._tokens[item]) for item in row.tolist()] for row in candidates]
            found = [one / np.asarray(length) for one, length in zip(found, lengths)]
        return found

    @functools.cached_property
    def _tokens(self) -> list[list[int]]:
        tokens = [self.vocabulary.encode(self.prompt.continued(title)) for title in self.titles]
        lost = [item for item, row in enumerate(tokens) if not row or row[-1] == PAD]
        if lost:
            raise ValueError(
                f'{self.titles[lost[0]]!r} ends with the token {PAD}, which padding is: let '
                'TitlePrompt.title end with another character, such as a quotation mark'
            )
        return tokens

    @functools.cached_property
    def _known(self) -> dict[int, float]:
        return {}

    def _prior(self, items: Int[np.ndarray, 'items']) -> Float[np.ndarray, 'items']:
        """Of items, ascending; asked for once each."""
        new = [item for item in items.tolist() if item not in self._known]
        parts = [np.asarray(new[start : start + PRIORS]) for start in range(0, len(new), PRIORS)]
        neutral = self._read(self.prompt.neutral)
        for part, found in zip(parts, self._likelihoods([neutral] * len(parts), parts)):
            self._known.update(zip(part.tolist(), found.tolist()))
        return np.asarray([self._known[item] for item in items.tolist()])

    def _read(self, text: str) -> list[int]:
        start, tokens = self.vocabulary.start_id, self.vocabulary.encode(text)
        if not tokens or tokens[-1] == PAD:
            raise ValueError(
                f'the prompt {text!r} is empty or ends with the token {PAD}, which padding is: let it end '
                'with another character'
            )
        return tokens if start is None else [start, *tokens]

    def _likelihoods(
        self, prompts: Sequence[Sequence[int]], candidates: Sequence[Int[np.ndarray, '_']]
    ) -> list[Float[np.ndarray, '_']]:
        found = [np.zeros(0)] * len(prompts)
        width = max(map(len, candidates), default=0)
        for places in self._batches(prompts) if prompts else ():
            inputs = padded([prompts[place] for place in places], PROMPT_STEP)
            texts = [[self._tokens[item] for item in candidates[place].tolist()] for place in places]
            longest = padded([text for row in texts for text in row], TITLE_STEP).shape[1]
            tokens = np.zeros((len(places), width, longest), np.int32)
            for row, listed in enumerate(texts):
                for column, text in enumerate(listed):
                    tokens[row, column, : len(text)] = text
            placed = self.placed
            scores = np.asarray(
                likelihoods(placed.model, placed.params, placed.features(inputs), placed.dealt(tokens))
            )
            for row, place in enumerate(places):
                found[place] = scores[row, : len(candidates[place])].astype(np.float64)
        return found

    def _batches(self, prompts: Sequence[Sequence[int]]) -> Iterator[Int[np.ndarray, 'batch']]:
        """Places of prompts of like length; the last batch is filled up with what it has."""
        order = np.argsort([len(prompt) for prompt in prompts], kind='stable')
        # Fewer prompts than a batch are a shape of their own; either divides over the devices.
        devices = jax.device_count()
        size = -(-min(self.batch_size, len(order)) // devices) * devices
        for start in range(0, len(order), size):
            yield np.resize(order[start : start + size], size)


def padded(rows: Sequence[Sequence[int]], step: int) -> Int[np.ndarray, 'rows length']:
    """Rows filled up behind with padding, to a multiple of `step`."""
    length = -(-max(map(len, rows)) // step) * step
    filled = np.full((len(rows), length), PAD, np.int32)
    for row, tokens in zip(filled, rows):
        row[: len(tokens)] = tokens
    return filled
