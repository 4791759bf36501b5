"""The stage that searches at several temperatures and measures how varied lists are (TIGER, section 4.3)."""

import dataclasses
from typing import Any, ClassVar

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.category_entropy import category_entropy, category_labels
from llmrec_jax.evaluation.metric_estimates import MetricEstimates, plain_means
from llmrec_jax.evaluation.metrics import recall_at_k
from llmrec_jax.runs.run import Run
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.stages.searched import SearchStudy
from llmrec_jax.stages.semantic_ids import CODE_TABLE


@dataclasses.dataclass(frozen=True)
class Diversity:
    """What is asked about diversity.

    Attributes:
      temperatures: of the search, ascending.
      ks: cut-offs.
      category_depth: of the category in an item's path, 0 for the root.

    Raises:
      ValueError: when the temperatures do not ascend from above 0.
    """

    temperatures: tuple[float, ...] = (1.0, 1.5, 2.0)
    ks: tuple[int, ...] = (10, 20, 50)
    category_depth: int = 1

    def __post_init__(self):
        # gin hands over lists.
        for name in ('temperatures', 'ks'):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        ascending = list(self.temperatures) == sorted(set(self.temperatures))
        if not self.temperatures or not ascending or self.temperatures[0] <= 0:
            raise ValueError(f'Diversity.temperatures={self.temperatures} must ascend from above 0')


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureDiversity(SearchStudy):
    """Entropy of the categories of lists, and recall, at each temperature.

    Attributes as in `SearchStudy`, and

    Attributes:
      asked: temperatures, cut-offs, categories.
    """

    asked: Diversity
    name: ClassVar[str] = 'diversity'

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        cases, asked, bootstrap = run[SPLITS].test, self.asked, Bootstrap(seed=self.seed)
        labels = category_labels(run[CATALOGUE].categories, asked.category_depth)
        recommender = self.recommender(run)
        beam = min(max(asked.ks), run[CODE_TABLE].n_items)
        points, before = [], {}
        for temperature in asked.temperatures:
            search = recommender.searching(beam, temperature)
            found = search.recommend(cases, beam, seen_items=self.seen_items)
            for k in asked.ks:
                entropy = category_entropy(found.items, labels, k)
                columns = {'entropy': entropy, 'recall': recall_at_k(found.target_rank, k)}
                if k in before:
                    columns['entropy_gained'] = entropy - before[k]
                before[k] = entropy
                measured = MetricEstimates(columns, plain_means).measured(bootstrap)
                point = {'temperature': temperature, 'k': k, **measured.metrics}
                for metric in columns.keys() - {'recall'}:
                    low, high = measured.intervals[metric]
                    point |= {f'{metric}_low': low, f'{metric}_high': high}
                points.append(point)
        return {
            'categories': int(labels.max()) + 1,
            'category_depth': asked.category_depth,
            'cases': len(cases),
            'beam_size': beam,
            'points': points,
        }
