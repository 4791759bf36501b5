"""Predictors of items: searched for in the catalogue, among candidates, or asked about one by one."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.stages.prompt_evaluation.eval_batches import EvalBatch
from llmrec_jax.stages.prompt_evaluation.evaluation_task import NO_CANDIDATE
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, first_steps, likelihoods, searched
from llmrec_jax.stages.prompt_evaluation.text_predictors import Answered, TextPredictor, check_numbers


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogueSearchPredictor:
    """The best items of the catalogue, and beside them what beams over all texts would have named.

    Attributes:
      network: who answers.
      search: over the names.
      catalogue: the items' names.
      unconstrained: writes the beams over all texts; None for none.
    """

    network: PlacedModel
    search: NameSearch
    catalogue: ItemNames
    unconstrained: TextPredictor | None = None

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices."""
        network = self.network
        features = network.features(batch.inputs)
        beams = searched(network.model, self.search, network.params, features, self.catalogue.trie)
        free = {} if self.unconstrained is None else self.unconstrained.ask(batch)
        return {'items': beams.items, 'scores': beams.scores, **free}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The items and their scores, best first; of the beams over all texts, the texts."""
        answer = _ranked(answered, place, self.catalogue)
        if self.unconstrained is not None:
            answer['texts'] = self.unconstrained.texts(answered, place)
        return answer


@dataclasses.dataclass(frozen=True, eq=False)
class CandidateSearchPredictor:
    """The best of each user's candidates, by beams over their names alone.

    Attributes:
      network: who answers.
      search: over the names.
      catalogue: the items' names.
      candidates: rows of the items that each example may answer, padded with -1.
    """

    network: PlacedModel
    search: NameSearch
    catalogue: ItemNames
    candidates: Int[np.ndarray, 'examples candidates']

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices."""
        network = self.network
        features = network.features(batch.inputs)
        offered = network.dealt(self.candidates[batch.filled])
        beams = searched(
            network.model, self.search, network.params, features, self.catalogue.trie, candidates=offered
        )
        return {'items': beams.items, 'scores': beams.scores}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The items and their scores, best first."""
        return _ranked(answered, place, self.catalogue)


@dataclasses.dataclass(frozen=True, eq=False)
class CandidateLikelihoodPredictor:
    """Each user's candidates by the log-probability of their names.

    Attributes as in `CandidateSearchPredictor`, and `listed`: how many are answered.
    """

    network: PlacedModel
    catalogue: ItemNames
    candidates: Int[np.ndarray, 'examples candidates']
    listed: int

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices."""
        network = self.network
        offered = self.candidates[batch.filled]
        names = self.catalogue.name_tokens[np.maximum(offered, 0)]
        features = network.features(batch.inputs)
        scores = likelihoods(network.model, network.params, features, network.dealt(names))
        return {'items': network.dealt(offered), 'scores': scores}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The best items and their scores, best first; of equal scores, the candidate that stands first."""
        items, scores = answered['items'][place], answered['scores'][place]
        check_numbers(scores)
        order = np.argsort(-scores, kind='stable')
        order = order[items[order] != NO_CANDIDATE][: self.listed]
        return _named(items[order], scores[order], self.catalogue)


@dataclasses.dataclass(frozen=True, eq=False)
class YesPredictor:
    """How probable 'yes' is against 'no' as the first word of the answer (P5's ranking by questions).

    Attributes:
      network: who answers.
      first_tokens: of 'yes' and of 'no'.
    """

    network: PlacedModel
    first_tokens: tuple[int, int]

    @classmethod
    def of(cls, network: PlacedModel) -> 'YesPredictor':
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

    def ask(self, batch: EvalBatch) -> Answered:
        """Answers on the devices."""
        network = self.network
        features = network.features(batch.inputs)
        scores = first_steps(network.model, self.first_tokens, network.params, features)
        return {'preference': scores[:, 0] - scores[:, 1]}

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """log P(yes) - log P(no)."""
        preference = float(answered['preference'][place])
        check_numbers(np.float64(preference))
        return {'answer': 'yes' if preference > 0 else 'no', 'preference': preference}


def _ranked(answered: Answered, place: int, catalogue: ItemNames) -> dict[str, Any]:
    items, scores = answered['items'][place], answered['scores'][place]
    check_numbers(scores)
    valid = items >= 0
    return _named(items[valid], scores[valid], catalogue)


def _named(
    items: Int[np.ndarray, 'items'], scores: Float[np.ndarray, 'items'], catalogue: ItemNames
) -> dict[str, Any]:
    return {
        'answer': [catalogue.names[item] for item in items.tolist()],
        'items': items.tolist(),
        'scores': scores.astype(float).tolist(),
    }
