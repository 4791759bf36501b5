"""What the trained decoder chooses from candidates, by what it writes and by what it finds likely."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, Int

from llmrec_jax import marks
from llmrec_jax.corpora.splits import RankingCases, Splits
from llmrec_jax.evaluation.baselines.counts import item_counts
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations, from_ranked_lists
from llmrec_jax.evaluation.wilson import wilson_interval
from llmrec_jax.models.inference import TextDecoder
from llmrec_jax.models.injected_decoder.model import ITEMS
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase
from llmrec_jax.stages.catalogue_ranking import CatalogueRetrieval, TowerScores
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS, CaseDraw, drawn_cases
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.prompt_evaluation.placed_model import (
    PlacedModel,
    likelihoods,
    on_every_process,
    written,
)
from llmrec_jax.stages.rank import ListStage, lists, trained
from llmrec_jax.systems.rsllm.prompts import Candidates, PromptForm, Prompts, shown_candidates
from llmrec_jax.systems.rsllm.training_stages import prompts_of
from llmrec_jax.text.vocabulary_sources import VocabularySource
from llmrec_jax.training import processes

GENERATED, POPULARITY, RANDOM = 'generated', 'popularity', 'random_candidates'


def named_candidate(text: str, names: Sequence[str]) -> int | None:
    """The place of the one candidate that a text names; None where it names none, or several (LLaRA).

    Names are met whole and whatever their case. A name within a longer one that is met there is not named.

    Args:
      text: that was written.
      names: of the candidates.
    """
    places = {_folded(name): place for place, name in enumerate(names)}
    longest_first = sorted(places, key=len, reverse=True)
    pattern = '|'.join(re.escape(name) for name in longest_first)
    met = {places[found] for found in re.findall(rf'(?<!\w)(?:{pattern})(?!\w)', _folded(text))}
    return met.pop() if len(met) == 1 else None


def _folded(text: str) -> str:
    return ' '.join(text.casefold().split())


@dataclasses.dataclass(frozen=True)
class TestDraw(CaseDraw):
    """Whose next item is asked for: all test users, or some of them.

    Attributes:
      test_users: how many, drawn; None for all.
    """

    test_users: int | None = None
    # pytest takes classes of such names for tests.
    __test__: ClassVar[bool] = False

    def cases(self, splits: Splits, split: str) -> RankingCases:
        """See `CaseDraw.cases`."""
        cases = super().cases(splits, split)
        return drawn_cases(cases, self.test_users, self.seed) if split == 'test' else cases


@dataclasses.dataclass(frozen=True, eq=False)
class Chooser:
    """The trained decoder, asked to choose.

    Attributes:
      network: who is asked.
      prompts: what it is asked with.
      decoder: how it writes.
      input_length: tokens that prompts are padded to.
      with_vectors: whether prompts hold them.
      batch_size: cases at once.
    """

    network: PlacedModel
    prompts: Prompts
    decoder: TextDecoder
    input_length: int
    with_vectors: bool
    batch_size: int

    def likelihoods(self, cases: RankingCases, shown: Candidates) -> Float[np.ndarray, 'cases candidates']:
        """Log-probability of each candidate's title as the answer."""
        scores = np.empty(shown.shape, np.float64)
        for rows, filled, features in self._batches(cases, shown):
            answers = self.network.dealt(self.prompts.answers[shown[filled]])
            found = likelihoods(self.network.model, self.network.params, features, answers)
            scores[rows] = on_every_process(found)[: len(rows)]
        return scores

    def texts(self, cases: RankingCases, shown: Candidates) -> list[str]:
        """What is written for each case."""
        decoder = dataclasses.replace(self.decoder, end_token=self.prompts.vocabulary.eos_id)
        texts: list[str] = []
        for rows, filled, features in self._batches(cases, shown):
            key_rows = self.network.dealt(filled.astype(np.int32))
            found = written(self.network.model, decoder, 0, self.network.params, features, key_rows)
            tokens = on_every_process(found.tokens)[: len(rows), 0]
            texts += [self.prompts.vocabulary.decode(row) for row in tokens.tolist()]
        return texts

    def _batches(self, cases: RankingCases, shown: Candidates):
        """Rows of the cases, the same filled up to the batch size, and the model's features of these."""
        for start in range(0, len(cases), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(cases)))
            filled = np.resize(rows, self.batch_size)
            asked = [
                self.prompts.prompt(cases.histories[row], shown[row], self.with_vectors)
                for row in filled.tolist()
            ]
            batch = {
                'inputs': _padded([row['inputs'] for row in asked], self.input_length),
                ITEMS: _padded([row[ITEMS] for row in asked], self.prompts.form.places),
            }
            yield rows, filled, self.network.all_dealt(self.network.model.convert_features(batch))


def _padded(rows: Sequence[Int[np.ndarray, '_']], width: int) -> Int[np.ndarray, 'rows width']:
    padded = np.zeros((len(rows), width), np.int32)
    for place, row in enumerate(rows):
        if len(row) > width:
            raise ValueError(
                f'a prompt has {len(row)} tokens, and Trainer.feature_lengths has room for {width}: raise '
                'it, or lower PromptForm.max_history or candidates'
            )
        padded[place, : len(row)] = row
    return padded


def ranked(
    shown: Candidates,
    scores: Float[np.ndarray, 'cases candidates'],
    targets: Int[np.ndarray, 'cases'],
    k: int,
) -> Recommendations:
    """The candidates by their scores, ties counted against the target.

    Args:
      shown: rows of the candidates.
      scores: of each; -inf for one that is not named.
      targets: of the cases.
      k: items of a list at most.
    """
    order = np.argsort(-scores, axis=1, kind='stable')
    items, scores = (np.take_along_axis(part, order, axis=1) for part in (shown, scores))
    return from_ranked_lists(np.where(np.isneginf(scores), ABSENT, items), scores, targets).top(k)


@dataclasses.dataclass(frozen=True)
class ChooseCandidates(ListStage):
    """Asks the trained decoder to choose among drawn candidates, and whatever it is held against.

    It leaves lists of `system`, by likelihood; `<system>_generated`, the one candidate that what it wrote
    names; the recommender whose vectors it reads; popularity; and the order in which candidates were shown.

    Attributes:
      system: what the trained system is called.
      parameters: what it answers with.
      form: of the prompts.
      source: of the vocabulary.
      with_vectors: whether prompts hold vectors.
      recommender: how the recommender answers.
      recommender_name: what it is called.
      decoder: how answers are written.
      input_length: tokens of a prompt at most.
      batch_size: cases at once.
      draw: see `ListStage`.
      list_length: see `ListStage`.
    """

    system: str
    parameters: Parameters
    form: PromptForm
    source: VocabularySource
    with_vectors: bool
    recommender: CatalogueRetrieval
    recommender_name: str
    decoder: TextDecoder
    input_length: int
    draw: TestDraw
    list_length: int
    batch_size: int = marks.without_effect()
    name: ClassVar[str] = 'evaluate'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True
    of_trained: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        of_both = (*self.parameters.reads, *self.recommender.reads, *self.recommender.parameters.reads)
        return (SPLITS, CATALOGUE, *of_both)

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """See `ListStage`."""
        return [('test', 'removed')]

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.parameters.check(run)
        if self.batch_size % jax.device_count():
            raise ValueError(
                f'RsllmSystem.answering_batch_size={self.batch_size} does not divide over '
                f'{jax.device_count()} devices: take a multiple'
            )

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        splits, prompts = run[SPLITS], prompts_of(run, self.form, self.source)
        cases = self.draw.cases(splits, 'test')
        n_items, wanted = len(prompts.names), self.form.candidates
        shown = shown_candidates(cases, splits, n_items, wanted, self.draw.seed)
        network = PlacedModel(self.parameters.network.model(run), self.parameters.restore(run))
        asked = (self.decoder, self.input_length, self.with_vectors, self.batch_size)
        chooser = Chooser(network, prompts, *asked)
        scores, seconds = {}, {}
        of_recommender = TowerScores(trained(self.recommender, run))

        def timed(name: str, score: Any) -> None:
            started = time.perf_counter()
            scores[name] = score()
            seconds[name] = time.perf_counter() - started

        def generated() -> Float[np.ndarray, 'cases candidates']:
            texts, found = chooser.texts(cases, shown), np.full(shown.shape, -np.inf)
            for row, text in enumerate(texts):
                place = named_candidate(text, [prompts.names[item] for item in shown[row].tolist()])
                if place is not None:
                    found[row, place] = 0.0
            return found

        written_by = f'{self.system}_{GENERATED}'
        counts = item_counts(splits.train, n_items).astype(np.float64)
        timed(self.system, lambda: chooser.likelihoods(cases, shown))
        timed(written_by, generated)
        everything = of_recommender.scores(cases.histories).astype(np.float64)
        timed(self.recommender_name, lambda: np.take_along_axis(everything, shown, axis=1))
        timed(POPULARITY, lambda: counts[shown])
        timed(RANDOM, lambda: np.broadcast_to(-np.arange(wanted, dtype=np.float64), shown.shape))
        systems = {name: ranked(shown, one, cases.target, self.list_length) for name, one in scores.items()}
        if processes.is_first():
            found = PerUserResults(cases.user, cases.target, systems, seconds)
            run.put(lists(self.name, 'test', 'removed'), found)
        valid = np.isfinite(scores[written_by]).any(axis=1)
        return {
            'checkpoint': self.parameters.called(run),
            'candidates': wanted,
            'with_vectors': self.with_vectors,
            'chance': 1 / wanted,
            'hr@1': {name: share(one.target_rank == 1) for name, one in systems.items()},
            'valid': share(valid),
            'hr@1_of_valid': share((systems[written_by].target_rank == 1)[valid]),
        }


def share(found: np.ndarray) -> dict[str, Any]:
    """How many cases there are, the share that is found, and Wilson's interval of it; of none only that."""
    cases, right = len(found), int(np.sum(found))
    if not cases:
        return {'cases': 0}
    return {'cases': cases, 'share': right / cases, 'interval': list(wilson_interval(right, cases))}


@dataclasses.dataclass(frozen=True, eq=False)
class ChoosingRecommender:
    """Answers histories: the recommender's best items are the candidates, ranked by their likelihood.

    Attributes:
      recommender: finds the candidates.
      chooser: ranks them.
    """

    recommender: Any
    chooser: Chooser

    def with_params(self, params: Mapping[str, Any]) -> 'ChoosingRecommender':
        """The same with other parameters of the decoder; nothing is compiled again."""
        network = dataclasses.replace(self.chooser.network, params=params)
        return dataclasses.replace(self, chooser=dataclasses.replace(self.chooser, network=network))

    def for_users(self, user_ids: Sequence[str]) -> 'ChoosingRecommender':
        """The same: who asks makes no difference, only the history."""
        del user_ids
        return self

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `Recommender.recommend`.

        Raises:
          ValueError: when more items are asked for than candidates are shown, or fewer are left.
        """
        wanted = self.chooser.prompts.form.candidates
        if k > wanted:
            raise ValueError(f'{k} items are asked for, but {wanted} candidates are shown')
        shown = self.recommender.recommend(cases, wanted, seen_items=seen_items).items
        if (shown == ABSENT).any():
            raise ValueError(f'a history leaves fewer than {wanted} items to be candidates')
        return ranked(shown, self.chooser.likelihoods(cases, shown), cases.target, k)

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """See `rank.TrainedRecommender`."""
        return self.recommend(cases, k, seen_items=seen_items).target_rank
