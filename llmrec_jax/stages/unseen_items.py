"""The stage that asks a generative retriever for items that training does not have (TIGER, section 4.3)."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from llmrec_jax.evaluation.baselines.counts import item_counts
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.unseen_items import nearest_texts, quota_curves, with_prefix_matches
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.searched import SearchStudy
from llmrec_jax.stages.semantic_ids import CODE_TABLE

RIVALS = {'last_item': 'semantic_knn', 'history_mean': 'semantic_knn_mean'}


@dataclasses.dataclass(frozen=True)
class UnseenItems:
    """What is asked about unseen items.

    Attributes:
      ks: cut-offs.
      quotas: shares of a list that may be unseen, the paper's epsilon.
      beam_size: items that the search lists; unseen ones follow those whose codes they share.

    Raises:
      ValueError: when the beam is narrower than a cut-off, or a quota is no share.
    """

    ks: tuple[int, ...] = (5, 10, 20)
    quotas: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
    beam_size: int = 50

    def __post_init__(self):
        # gin hands over lists.
        for name in ('ks', 'quotas'):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.beam_size < max(self.ks):
            raise ValueError(f'UnseenItems.beam_size={self.beam_size} is below the cut-off {max(self.ks)}')
        if not all(0 <= quota <= 1 for quota in self.quotas):
            raise ValueError(f'UnseenItems.quotas={self.quotas} must lie between 0 and 1')


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureUnseenItems(SearchStudy):
    """Recall of test targets without training events, by each length of prefix, beside the nearest texts.

    Attributes as in `SearchStudy`, and

    Attributes:
      system: what the retriever is called.
      asked: cut-offs, quotas, beam.
    """

    system: str
    asked: UnseenItems
    name: ClassVar[str] = 'unseen_items'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (*super().reads, ITEM_VECTORS)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`.

        Raises:
          ValueError: when training leaves no test target unseen.
        """
        splits, table, asked = run[SPLITS], run[CODE_TABLE], self.asked
        cases, unseen = splits.test, item_counts(splits.train, len(run[CATALOGUE])) == 0
        recommender = self.recommender(run)
        beam = min(asked.beam_size, table.n_items)
        found = recommender.searching(beam).recommend(cases, beam, seen_items=self.seen_items)
        lists = {
            f'{self.system}_prefix_{levels}': with_prefix_matches(
                found.items, table.codes[:, :levels], unseen, cases, seen_items=self.seen_items
            )
            for levels in range(1, table.provenance['learned_levels'] + 1)
        }
        rivals = {
            name: nearest_texts(
                run[ITEM_VECTORS], cases, max(asked.ks), pooling, unseen, seen_items=self.seen_items
            )
            for pooling, name in RIVALS.items()
        }
        points = quota_curves(
            lists, rivals, unseen, cases.target, asked.ks, asked.quotas, Bootstrap(seed=self.seed)
        )
        return {
            'unseen_items': int(unseen.sum()),
            'unseen_cases': int(unseen[cases.target].sum()),
            'cases': len(cases),
            'seen_items': self.seen_items,
            'beam_size': beam,
            'points': points,
        }
