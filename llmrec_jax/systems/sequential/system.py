"""Sequential recommendation: an encoder reads a user's items, and its last state scores the next one.

The encoder says which paper it is: SASRec (Kang and McAuley, 2018), GRU4Rec (Hidasi et al., 2016), Caser
(Tang and Wang, 2018) or BERT4Rec (Sun et al., 2019).

| stage | makes |
|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` |
| floors, sampled_floors, ceiling | lists and figures of what it is held against |
| tasks | `tasks/train/`: whole histories, each item the target of those before it |
| train | `checkpoints/` |
| evaluate, sampled | lists over the whole catalogue, and figures among drawn items |
"""

import dataclasses
from collections.abc import Sequence

from llmrec_jax.runs.stage import Stage
from llmrec_jax.stages.baselines import against
from llmrec_jax.stages.catalogue_system import CatalogueSystem, WriteHistories
from llmrec_jax.stages.train import Train


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequentialRecommendation(CatalogueSystem):
    """What is run, and where; attributes as in `CatalogueSystem`."""

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        ranking, retrieval = self.ranking, self.retrieval
        return [
            self.prepare_corpus,
            *against(self.corpus, ranking.draw, ranking.list_length, ranking.ks, self.task.split),
            *self.sampled_baselines(),
            WriteHistories(task=self.task),
            Train(
                network=retrieval.parameters.network,
                trainer=self.trainer,
                validation=ranking.validation(retrieval),
            ),
            *self.evaluation(),
        ]
