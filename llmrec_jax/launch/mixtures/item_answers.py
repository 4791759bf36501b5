"""Answers that are items: searched for in the catalogue, among candidates, or asked about one by one."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from llmrec_jax.decoding.beams import Beams
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.network import Features, Network
from llmrec_jax.launch.mixtures.questions import Questions
from llmrec_jax.launch.mixtures.text_answers import Answered, TextAnswers, check_numbers, likelihoods
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.semantic_ids.trie import Trie
from llmrec_jax.training.columns import ColumnStore

NO_CANDIDATE = -1


@dataclasses.dataclass(frozen=True, eq=False)
class ItemAnswers:
    """The best items of the catalogue, and beside them what beams over all texts would have named.

    Attributes:
      network: who answers.
      search: over the names.
      catalogue: the items' names.
      unconstrained: writes the beams over all texts; None for none.
    """

    network: Network
    search: NameSearch
    catalogue: Catalogue
    unconstrained: TextAnswers | None = None

    def ask(self, questions: Questions) -> Answered:
        """Answers on the devices."""
        network = self.network
        features = network.features(questions.inputs)
        beams = searched(network.model, self.search, network.params, features, self.catalogue.trie, None)
        free = {} if self.unconstrained is None else self.unconstrained.ask(questions)
        return {'items': beams.items, 'scores': beams.scores, **free}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The items and their scores, best first; of the beams over all texts, the texts."""
        answer = _ranked(answered, place)
        if self.unconstrained is not None:
            answer['texts'] = self.unconstrained.texts(answered, place)
        return answer


@dataclasses.dataclass(frozen=True, eq=False)
class CandidateSearch:
    """The best of each user's candidates, by beams over their names alone.

    Attributes:
      network: who answers.
      search: over the names.
      catalogue: the items' names.
      candidates: rows of the items that each example may answer, padded with -1.
    """

    network: Network
    search: NameSearch
    catalogue: Catalogue
    candidates: Int[np.ndarray, 'examples candidates']

    def ask(self, questions: Questions) -> Answered:
        """Answers on the devices."""
        network = self.network
        features = network.features(questions.inputs)
        offered = network.dealt(self.candidates[questions.filled])
        beams = searched(network.model, self.search, network.params, features, self.catalogue.trie, offered)
        return {'items': beams.items, 'scores': beams.scores}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The items and their scores, best first."""
        return _ranked(answered, place)


@dataclasses.dataclass(frozen=True, eq=False)
class CandidateLikelihood:
    """Each user's candidates by the log-probability of their names; attributes as in `CandidateSearch`."""

    network: Network
    catalogue: Catalogue
    candidates: Int[np.ndarray, 'examples candidates']
    listed: int

    def ask(self, questions: Questions) -> Answered:
        """Answers on the devices."""
        network = self.network
        offered = self.candidates[questions.filled]
        names = self.catalogue.name_tokens[np.maximum(offered, 0)]
        features = network.features(questions.inputs)
        scores = likelihoods(network.model, network.params, features, network.dealt(names))
        return {'items': network.dealt(offered), 'scores': scores}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The best items and their scores, best first; of equal scores, the candidate that stands first."""
        items, scores = answered['items'][place], answered['scores'][place]
        check_numbers(scores)
        order = np.argsort(-scores, kind='stable')
        order = order[items[order] != NO_CANDIDATE][: self.listed]
        return {'items': items[order].tolist(), 'scores': scores[order].astype(float).tolist()}


@dataclasses.dataclass(frozen=True, eq=False)
class YesProbability:
    """How probable 'yes' is against 'no' as the first word of the answer (P5's ranking by questions).

    Attributes:
      network: who answers.
      first_tokens: of 'yes' and of 'no'.
    """

    network: Network
    first_tokens: tuple[int, int]

    @classmethod
    def of(cls, network: Network) -> 'YesProbability':
        """With the tokens of the network's vocabulary.

        Raises:
          ValueError: when both words begin with the same token.
        """
        yes, no = (network.vocabulary.encode(word)[0] for word in ('yes', 'no'))
        if yes == no:
            raise ValueError(
                "in this vocabulary 'yes' and 'no' begin with the same piece, so the first step cannot tell "
                'them apart: train one whose texts have both words more often'
            )
        return cls(network, (yes, no))

    def ask(self, questions: Questions) -> Answered:
        """Answers on the devices."""
        network = self.network
        features = network.features(questions.inputs)
        scores = first_steps(network.model, self.first_tokens, network.params, features)
        return {'preference': scores[:, 0] - scores[:, 1]}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """log P(yes) - log P(no)."""
        check_numbers(answered['preference'][place])
        return {'preference': float(answered['preference'][place])}


def candidates_of(examples: ColumnStore) -> Int[np.ndarray, 'examples candidates']:
    """The column 'candidates', rows of the catalogue, padded with -1."""
    lengths = examples.lengths('candidates')
    longest = int(lengths.max())
    padded = examples.batch(np.arange(len(examples)), {'candidates': longest})['candidates']
    return np.where(np.arange(longest) < lengths[:, None], padded, NO_CANDIDATE).astype(np.int32)


def _ranked(answered: Answered, place: int) -> dict[str, Any]:
    items, scores = answered['items'][place], answered['scores'][place]
    check_numbers(scores)
    valid = items >= 0
    return {'items': items[valid].tolist(), 'scores': scores[valid].astype(float).tolist()}


@functools.partial(jax.jit, static_argnames=('model', 'search'))
def searched(
    model: EncoderDecoderModel,
    search: NameSearch,
    params: Any,
    features: Features,
    trie: Trie,
    candidates: Int[Array, 'batch candidates'] | None,
) -> Beams:
    """Beams over the names of the catalogue, or of each user's candidates."""
    filters = {} if candidates is None else {'candidates': candidates}
    return dataclasses.replace(model, decode_fn=search).recommend(params, features, trie, **filters)


@functools.partial(jax.jit, static_argnames=('model', 'tokens'))
def first_steps(
    model: EncoderDecoderModel, tokens: tuple[int, ...], params: Any, features: Features
) -> Float[Array, 'batch tokens']:
    """Log-probability of each of the tokens as the first that is written."""
    return model.first_step_log_probs(params, features, np.asarray(tokens, np.int32))
