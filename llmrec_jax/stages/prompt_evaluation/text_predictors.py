"""Predictors of texts: ratings, choices and sentences."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from llmrec_jax.stages.prompt_evaluation.eval_batches import EvalBatch
from llmrec_jax.stages.prompt_evaluation.item_names import padded_names
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, likelihoods, written

Answered = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class TextPredictor:
    """What the decoder writes: the best of its sequences.

    Attributes:
      network: who answers.
      decoder: one of `decoding`'s.
      seed: of a decoder that samples; every example has draws of its own, whatever stands beside it.
    """

    network: PlacedModel
    decoder: Any
    seed: int = 0

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices, of which `read` makes texts."""
        network = self.network
        features, rows = network.features(batch.inputs), network.dealt(batch.filled)
        texts = written(network.model, self.decoder, self.seed, network.params, features, rows)
        return {'tokens': texts.tokens, 'text_scores': texts.scores}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The answer to the example at a place of the batch."""
        return {'answer': self.texts(answered, place)[0]}

    def likelihoods_of(self, answers: Sequence[str], batch: EvalBatch) -> Float[Array, 'batch answers']:
        """Log-probability of each of the same few answers to every question."""
        network = self.network
        words = padded_names(network.vocabulary, answers)
        return likelihoods(
            network.model,
            network.params,
            network.features(batch.inputs),
            network.dealt(np.broadcast_to(words, (len(batch.inputs), *words.shape))),
        )

    def texts(self, answered: Answered, place: int) -> list[str]:
        """All that the decoder wrote, best first.

        Raises:
          ValueError: when the network's scores are no numbers.
        """
        check_numbers(answered['text_scores'][place])
        return [self.network.vocabulary.decode(tokens.tolist()) for tokens in answered['tokens'][place]]


@dataclasses.dataclass(frozen=True, eq=False)
class ChoicePredictor:
    """One of two words as the decoder writes it, and how far the model prefers the first of them.

    Attributes:
      texts: writes the answer.
      choices: the two words.
    """

    texts: TextPredictor
    choices: tuple[str, str]

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices."""
        scores = self.texts.likelihoods_of(self.choices, batch)
        return self.texts.ask(batch) | {'preference': scores[:, 0] - scores[:, 1]}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The answer, and log P(first word) - log P(second word)."""
        check_numbers(answered['preference'][place])
        return self.texts.read(answered, place) | {'preference': float(answered['preference'][place])}


@dataclasses.dataclass(frozen=True, eq=False)
class StarsPredictor:
    """A rating as the decoder writes it, and the mean of all ratings by the model's own probabilities.

    Attributes:
      texts: writes the answer.
      ratings: the ratings that there are, as texts.
    """

    texts: TextPredictor
    ratings: tuple[str, ...]

    @classmethod
    def on(cls, texts: TextPredictor, scale: tuple[float, float]) -> 'StarsPredictor':
        """Of a scale: its tenths, and its whole stars as templates 4-2 and 4-4 write them."""
        lowest, highest = scale
        tenths = range(round(10 * lowest), round(10 * highest) + 1)
        whole = [f'{tenth // 10}' for tenth in tenths if tenth % 10 == 0]
        return cls(texts, (*(f'{tenth / 10:.1f}' for tenth in tenths), *whole))

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices."""
        scores = self.texts.likelihoods_of(self.ratings, batch)
        return self.texts.ask(batch) | {'ratings': scores}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The answer, and the mean rating."""
        scores = np.asarray(answered['ratings'][place], np.float64)
        check_numbers(scores)
        shares = np.exp(scores - scores.max())
        expected = shares @ np.asarray(self.ratings, np.float64) / shares.sum()
        return self.texts.read(answered, place) | {'expected': float(expected)}


def check_numbers(scores: Float[np.ndarray, '...'] | np.floating) -> None:
    """Looks whether a network gave scores that can be ranked.

    Raises:
      ValueError: when one is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(
            'the network gives scores that are no numbers, so its parameters have diverged: take an earlier '
            'checkpoint with --checkpoint, or train it again with a smaller learning rate'
        )
