"""Stages that measure what a trained system is held against: counting, content retrieval, and the ceiling."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.evaluation.baselines.counted import BASELINES, fit_baselines
from llmrec_jax.evaluation.protocol import SPLITS
from llmrec_jax.evaluation.recommender import DenseRecommender, Recommender
from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.evaluation.serving import built_index
from llmrec_jax.retrieval.vector_retriever import HistoryVectors, VectorRetriever
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import CATALOGUE, CaseDraw
from llmrec_jax.stages.corpus import SPLITS as CORPUS_SPLITS
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.rank import RankStage

CONTENT_NAMES = {'last_item': 'content_scann', 'history_mean': 'content_scann_mean'}
SCANN_CHECK_QUERIES = 1000


@dataclasses.dataclass(frozen=True)
class MeasureBaselines(RankStage):
    """The systems that only count.

    Attributes:
      draw: see `RankStage`.
      list_length: see `RankStage`.
      baselines: which of them, as far as the corpus has what they count. They decide the fingerprint, so that
        a run of before there was one measures it too.
    """

    draw: CaseDraw
    list_length: int
    baselines: tuple[str, ...] = BASELINES
    name: ClassVar[str] = 'floors'
    phase: ClassVar[Phase] = 'evaluate'
    reads: ClassVar = (CORPUS_SPLITS, CATALOGUE)

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        return fitted(run, self.baselines), {}


def fitted(run: Run, baselines: Sequence[str]) -> dict[str, DenseRecommender]:
    """Baselines by name, fitted on the run's training histories; see `counted.fit_baselines`."""
    catalogue = run[CATALOGUE]
    return fit_baselines(run[CORPUS_SPLITS].train, len(catalogue), catalogue.categories, baselines)


@dataclasses.dataclass(frozen=True)
class MeasureContent(RankStage):
    """Nearest neighbours of the history in the space of item vectors, found by ScaNN, checked exactly.

    Attributes as in `RankStage`.
    """

    draw: CaseDraw
    list_length: int
    name: ClassVar[str] = 'content'
    phase: ClassVar[Phase] = 'evaluate'
    reads: ClassVar = (CORPUS_SPLITS, ITEM_VECTORS)

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        # ScaNN's kernels are loaded here, because a run of other stages needs none of them.
        from llmrec_jax.retrieval.exact import ExactSearch, recall_against_exact
        from llmrec_jax.retrieval.scann_index import ScannIndex

        vectors, k = run[ITEM_VECTORS], self.list_length
        index, cost = built_index(lambda: ScannIndex.build(vectors))
        systems = {
            name: RetrievalRecommender(VectorRetriever(index, HistoryVectors(vectors, pooling)))
            for pooling, name in CONTENT_NAMES.items()
        }
        recall = recall_against_exact(index, ExactSearch(vectors), vectors[:SCANN_CHECK_QUERIES], k)
        return systems, {
            'scann_layout': dataclasses.asdict(index.layout),
            'serving': {'scann_index': cost.as_dict()},
            f'scann_recall@{k}_against_exact': recall,
        }


@dataclasses.dataclass(frozen=True)
class MeasureCeiling(Stage):
    """What no recommender can exceed, of a corpus that was made from a known law.

    Attributes:
      corpus: its source; see `has_law`.
      draw: whose next item is asked for.
      ks: cut-offs of recall and NDCG.
      splits: whose cases are asked for.
    """

    corpus: CorpusSource = marks.described_by(identity)
    draw: CaseDraw
    ks: tuple[int, ...]
    splits: tuple[str, ...] = SPLITS
    name: ClassVar[str] = 'ceiling'
    phase: ClassVar[Phase] = 'evaluate'
    reads: ClassVar = (CORPUS_SPLITS,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from llmrec_jax.corpora.simulated_shop.ceiling import BayesRecommender, ceiling

        law = self.corpus.law()
        cases = {split: self.draw.cases(run[CORPUS_SPLITS], split) for split in self.splits}
        return {
            split: {
                'expected': ceiling(law, asked, self.ks),
                'attained_by_the_law': BayesRecommender(law).attained(asked, self.ks),
            }
            for split, asked in cases.items()
        }


def has_law(corpus: CorpusSource, split: SplitRule) -> bool:
    """Whether the distribution of the next item is known, as that of a simulated corpus is.

    It is that after a whole history, so that a split which shows others has none.
    """
    return hasattr(corpus, 'law') and split.whole_histories


def against(
    corpus: CorpusSource,
    draw: CaseDraw,
    list_length: int,
    ks: Sequence[int],
    split: SplitRule = LEAVE_LAST_OUT,
) -> list[Stage]:
    """What systems that rank a catalogue are held against: counting, and the ceiling where it is known.

    Args:
      corpus: its source.
      draw: whose next item is asked for.
      list_length: items in a list.
      ks: cut-offs of recall and NDCG.
      split: what of the corpus is held out.
    """
    counting = MeasureBaselines(draw=draw, list_length=list_length)
    if not has_law(corpus, split):
        return [counting]
    return [counting, MeasureCeiling(corpus=corpus, draw=draw, ks=tuple(ks))]
