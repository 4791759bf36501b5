"""Candidates that are hard to tell from the right ones: of the same category, or had by the same users.

They are counted in training histories. A retriever that was fitted on these would put the targets first, and
a model would learn to take what a retriever finds surest instead of what follows the history.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.palr.affinity import had
from llmrec_jax.prompts.palr.windows import Windows


@dataclasses.dataclass(frozen=True, eq=False)
class HardNegatives:
    """Draws hard negatives; `of` makes it.

    Attributes:
      by_category: rows of the items of each category path.
      categories: the path of each item.
      together: [items, items], how many users had both in training.
    """

    by_category: dict[tuple[str, ...], list[int]]
    categories: Sequence[tuple[str, ...]]
    together: sp.csr_array

    @classmethod
    def of(cls, train: Sequences, categories: Sequence[tuple[str, ...]]) -> 'HardNegatives':
        """Counts who had what together in the training histories.

        Args:
          train: training history of each user.
          categories: of each item, from the root to the leaf; empty where unknown.
        """
        by_category: dict[tuple[str, ...], list[int]] = {}
        for item, path in enumerate(categories):
            if path:
                by_category.setdefault(tuple(path), []).append(item)
        matrix = had(train, len(categories))
        return cls(by_category, categories, sp.csr_array(matrix.T @ matrix))

    def pool(self, targets: Sequence[int], own: set[int], size: int, rng: np.random.Generator) -> list[int]:
        """At most `size` hard negatives of these targets, of both kinds alike, in a drawn order.

        Args:
          targets: the right items.
          own: items that are no negatives.
          size: of the pool.
          rng: of the draws.
        """
        alike = {
            item for target in targets for item in self.by_category.get(tuple(self.categories[target]), ())
        } - own
        counts = self.together[list(targets)].sum(axis=0)
        counts[list(own)] = 0.0
        often = np.argsort(-counts, kind='stable')[:size]
        often = often[counts[often] > 0].tolist()
        same = rng.permutation(np.asarray(sorted(alike), np.int64)).tolist()
        pool: dict[int, None] = {}
        for place in range(max(len(often), len(same))):
            pool.update(dict.fromkeys([*often[place : place + 1], *same[place : place + 1]]))
        return rng.permutation(np.asarray(list(pool)[:size], np.int64)).tolist()


def with_hard_negatives(
    windows: Windows, train: Sequences, negatives: HardNegatives, size: int, seed: int
) -> tuple[Sequences, Sequences]:
    """The columns `hard` and `excluded` that `forms.FollowingItemsOfCandidates` reads.

    What is never a negative is what training knows the user to have had: to leave out held-out items as well
    would tell of them.

    Args:
      windows: the prompts.
      train: training history of each user.
      negatives: draws them.
      size: of each pool.
      seed: of the draws.
    """
    pools, excluded = [], []
    for row, user in enumerate(windows.user.tolist()):
        targets = windows.targets[row].tolist()
        own = {*train[user].tolist(), *targets, *windows.history[row].tolist()}
        pool = negatives.pool(targets, own, size, np.random.default_rng((seed, 1, row)))
        pools.append(pool)
        excluded.append(sorted(own | set(pool)))
    return _ragged(pools), _ragged(excluded)


def _ragged(rows: list[list[int]]) -> Sequences:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Sequences(np.asarray([item for row in rows for item in row], np.int64), offsets)
