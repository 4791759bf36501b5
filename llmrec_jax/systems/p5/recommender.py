"""P5 as a recommender: histories become prompts for the next item, answered by a search over all names."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Int, PyTree

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.evaluation.recommendations import Recommendations, from_ranked_lists
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.runs.artifact import Artifact, json_artifact
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, on_every_process, searched
from llmrec_jax.stages.prompt_evaluation.text_inputs import input_batches, text_inputs

# 'user' and 'user_name', as templates call them, to what each user of the corpus is called.
USER_NAMES: Artifact[dict[str, list[str]]] = json_artifact('user_names.json')


@dataclasses.dataclass(frozen=True, eq=False)
class NextItemRecommender:
    """Answers histories by P5's prompt for the next item (Geng et al., 2022, section 5.3).

    A user of the corpus is called as in training; of another, P5 has learned no name, and the prompt has the
    id that is given.

    Attributes:
      network: who answers.
      search: over the names; its beam must be at least the `k` asked for.
      catalogue: the items' names.
      group: the one template that is asked, and what fills it.
      user_names: 'user' and 'user_name' to the names of the corpus's users.
      corpus_users: ids of the corpus's users.
      user_ids: what the users of cases are called, by their row.
      seed: of the tasks, by which a prompt's separator is drawn.
      input_length: tokens of a full input.
      length_buckets: shorter lengths that a batch of short inputs may be padded to.
      batch_size: users decoded at once; a multiple of the devices.
    """

    network: PlacedModel
    search: NameSearch
    catalogue: ItemNames
    group: PromptGroup
    user_names: Mapping[str, Sequence[str]]
    corpus_users: Sequence[str]
    user_ids: Sequence[str]
    seed: int
    input_length: int
    length_buckets: tuple[int, ...] = ()
    batch_size: int = 64

    def with_params(self, params: PyTree[Array]) -> 'NextItemRecommender':
        """The same with other parameters; nothing is compiled again."""
        return dataclasses.replace(self, network=dataclasses.replace(self.network, params=params))

    def for_users(self, user_ids: Sequence[str]) -> 'NextItemRecommender':
        """The same for users that the corpus need not know; row `i` of cases is then called `user_ids[i]`."""
        return dataclasses.replace(self, user_ids=user_ids)

    def prompts(self, cases: RankingCases) -> list[str]:
        """What the network is asked of each case."""
        return list(self._prompts(cases))

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `Recommender.recommend`.

        Raises:
          ValueError: when the beam is narrower than `k`.
        """
        if self.search.beam_size < k:
            raise ValueError(
                f'a beam of {self.search.beam_size} cannot rank {k} items: raise NameSearch.beam_size'
            )
        items = np.full((len(cases), k), -1, np.int64)
        scores = np.full((len(cases), k), -np.inf, np.float64)
        history, _ = cases.histories.last(int(cases.histories.lengths.max()))
        inputs = text_inputs(self.network.vocabulary, self.prompts(cases), self.input_length)
        network, trie = self.network, self.catalogue.trie
        for batch in input_batches(inputs, self.batch_size, self.input_length, self.length_buckets):
            features = network.features(batch.inputs)
            filters = {}
            if seen_items == 'removed':
                filters['seen'] = network.dealt(history[batch.filled].astype(np.int32))
            beams = searched(network.model, self.search, network.params, features, trie, **filters)
            found, of_found = on_every_process((beams.items, beams.scores))
            items[batch.rows] = found[: len(batch.rows), :k]
            scores[batch.rows] = of_found[: len(batch.rows), :k]
        return from_ranked_lists(items, scores, cases.target)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """See `rank.TrainedRecommender`."""
        return self.recommend(cases, k, seen_items=seen_items).target_rank

    def _prompts(self, cases: RankingCases) -> Iterator[str]:
        for row, user in enumerate(cases.user.tolist()):
            items = np.append(cases.histories[row], cases.target[row])
            record = {
                # The user's own names stand alone in their tables.
                'user': 0,
                'items': items,
                'first_target': len(items) - 1,
                'last_start': 0,
                'record': row,
            }
            example = self.group.example(record, self._tables(self.user_ids[user]), seed=self.seed)
            yield example['inputs']

    def _tables(self, user_id: str) -> dict[str, Any]:
        place = self._place_of.get(user_id)
        called = {
            name: [user_id if place is None else names[place]] for name, names in self.user_names.items()
        }
        return {**self._item_table, **tables_for(NUMPY, called)}

    @functools.cached_property
    def _item_table(self) -> dict[str, Any]:
        return tables_for(NUMPY, {'item': self.catalogue.names})

    @functools.cached_property
    def _place_of(self) -> Mapping[str, int]:
        return {user_id: place for place, user_id in enumerate(self.corpus_users)}
