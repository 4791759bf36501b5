"""PALR as a recommender: candidates by its retriever, then the list that the model writes for the prompt."""

import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Int, PyTree

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.palr.answers import read_answer
from llmrec_jax.prompts.palr.data import in_own_order
from llmrec_jax.prompts.palr.forms import TEMPLATES, FollowingItemsOfRetrieved, profile_text
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.retrieval.retriever import Requests, Retriever
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel, on_every_process
from llmrec_jax.stages.prompt_evaluation.text_inputs import input_batches, text_inputs
from llmrec_jax.stages.prompt_evaluation.text_predictors import TextPredictor
from llmrec_jax.systems.palr.written_lists import as_recommendations, list_of
from tasks.palr import PalrTasks

_, CHOOSE = TEMPLATES


@dataclasses.dataclass(frozen=True, eq=False)
class PalrRecommender:
    """Answers histories as PALR does (Yang et al., 2023, section 3.3).

    A user from outside the corpus has no keywords, and gets candidates from a retriever that goes by
    histories; one that has lists by user refuses.

    Attributes:
      network: who writes.
      decoding: by what decoder.
      catalogue: the items' names.
      retriever: finds the candidates.
      candidates: how many are shown.
      tasks: what the prompts are made of.
      keywords: id of a user to the keywords of the profile.
      corpus_users: ids of the corpus's users.
      user_ids: what the users of cases are called, by their row.
    """

    network: PlacedModel
    decoding: DecodingConfig
    catalogue: ItemNames
    retriever: Retriever
    candidates: int
    tasks: PalrTasks
    keywords: Mapping[str, tuple[str, ...]]
    corpus_users: Sequence[str]
    user_ids: Sequence[str]

    def with_params(self, params: PyTree[Array]) -> 'PalrRecommender':
        """The same with other parameters; nothing is compiled again."""
        return dataclasses.replace(self, network=dataclasses.replace(self.network, params=params))

    def for_users(self, user_ids: Sequence[str]) -> 'PalrRecommender':
        """The same for users that the corpus need not know; row `i` of cases is then called `user_ids[i]`."""
        return dataclasses.replace(self, user_ids=user_ids)

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `Recommender.recommend`; scores say the order alone.

        Raises:
          ValueError: when more items are asked for than candidates are shown, or the retriever has none for
            a user.
        """
        if k > self.candidates:
            raise ValueError(f'{k} items are asked for, but {self.candidates} candidates are shown')
        users = [self.user_ids[row] for row in cases.user.tolist()]
        retrieved = self._retrieved(cases, users, seen_items)
        shown = self._shown(users, retrieved)
        prompts = self.prompts(cases, users, shown)
        length = self.tasks.feature_lengths['inputs']
        inputs = text_inputs(self.network.vocabulary, prompts, length)
        predictor = TextPredictor(self.network, self.decoding.text, self.decoding.seed)
        rows: list[list[int]] = [[] for _ in users]
        buckets = tuple(self.decoding.length_buckets)
        for batch in input_batches(inputs, self.decoding.batch_size, length, buckets):
            answered = on_every_process(predictor.ask(batch))
            for place, row in enumerate(batch.rows.tolist()):
                text = predictor.read(answered, place)['answer']
                read = read_answer(text, self.catalogue.titles, shown[row].tolist())
                rows[row], _ = list_of(read, retrieved[row], k)
        return as_recommendations(rows, cases, k)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """See `rank.TrainedRecommender`."""
        return self.recommend(cases, k, seen_items=seen_items).target_rank

    def prompts(
        self, cases: RankingCases, users: Sequence[str], shown: Sequence[Int[np.ndarray, 'candidates']]
    ) -> list[str]:
        """What the network is asked of each case.

        Args:
          cases: with the histories.
          users: what the user of each is called.
          shown: rows of the candidates of each, in the order to be shown.
        """
        group = PromptGroup(FollowingItemsOfRetrieved(), (CHOOSE,))
        palr = self.tasks.palr
        profiles = [profile_text(self.keywords.get(user, ())) for user in users]
        wanted = [str(palr.wanted)]
        tables = tables_for(NUMPY, {'item': self.catalogue.names, 'profile': profiles, 'wanted': wanted})
        most = palr.windows.max_history
        records = (
            {
                'user': row,
                'history': cases.histories[row][-most:],
                'targets': cases.target[row : row + 1],
                'candidates': shown[row],
                'record': row,
            }
            for row in range(len(users))
        )
        return [group.example(record, tables, seed=self.tasks.seed)['inputs'] for record in records]

    def _retrieved(
        self, cases: RankingCases, users: Sequence[str], seen_items: str
    ) -> Int[np.ndarray, 'cases candidates']:
        rows = np.asarray([self._row_of.get(user, -1) for user in users], np.int64)
        requests = Requests(cases.histories, users=rows)
        most = min(self.candidates, self.retriever.n_items)
        return self.retriever.retrieve(requests, most, remove_seen=seen_items == 'removed').items

    def _shown(
        self, users: Sequence[str], retrieved: Int[np.ndarray, 'cases candidates']
    ) -> list[Int[np.ndarray, 'candidates']]:
        """The candidates in an order of the user's own; that of a user from outside follows from the id."""
        shown = []
        for user, items in zip(users, retrieved):
            there = items[items != ABSENT]
            if not len(there):
                raise ValueError(f'user {user!r} has no candidates: take another retriever')
            number = self._row_of.get(user, zlib.crc32(user.encode()))
            shown.append(in_own_order(there, number, self.tasks.seed))
        return shown

    @functools.cached_property
    def _row_of(self) -> Mapping[str, int]:
        return {user_id: row for row, user_id in enumerate(self.corpus_users)}
