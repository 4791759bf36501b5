"""How a ScaNN index is laid out, by the size of its catalogue."""

import dataclasses
import math

# On TF-IDF vectors of Amazon Beauty, recall@10 is .94 at a share of .05, .97 at .1 and .99 at .2.
DEFAULT_SHARE_SEARCHED = 0.1


@dataclasses.dataclass(frozen=True)
class ScannLayout:
    """The settings of one index, with nothing left open.

    Attributes:
      leaves: partitions of the items; 0 for a brute-force index, which scores every item.
      leaves_to_search: partitions that a query looks into; 0 for brute force.
      anisotropic_threshold: weight of the quantization error along the vector over that across it.
      reorder: candidates whose scores are computed again from the unquantized vectors.
    """

    leaves: int
    leaves_to_search: int
    anisotropic_threshold: float
    reorder: int

    @property
    def brute_force(self) -> bool:
        """Whether every item is scored."""
        return self.leaves == 0


@dataclasses.dataclass(frozen=True)
class ReachedRecall:
    """What an index was tuned to, and what it reached.

    Attributes:
      k: neighbours that were asked for.
      wished: the recall@k against exact search that was asked for.
      reached: the recall@k on queries that had no part in choosing the settings.
      queries: number of those queries.
    """

    k: int
    wished: float
    reached: float
    queries: int


@dataclasses.dataclass(frozen=True)
class ScannSettings:
    """A tree of partitions, asymmetric hashing within, exact scores for the best (Guo et al. 2020, ScaNN).

    Recall depends on the data as much as on these: `scann_tuning.tuned_index` finds them for a wished recall.

    Attributes:
      leaves: partitions of the items; None for the square root of the number of items.
      leaves_to_search: partitions a query looks into; None for `DEFAULT_SHARE_SEARCHED` of them.
      anisotropic_threshold: see `ScannLayout`.
      reorder: see `ScannLayout`; a search for more items than this reorders as many as it returns.
      brute_force_below: a catalogue of fewer items is scored whole, which is exact and no slower there.
    """

    leaves: int | None = None
    leaves_to_search: int | None = None
    anisotropic_threshold: float = 0.2
    reorder: int = 200
    brute_force_below: int = 50_000

    def layout(self, n_items: int) -> ScannLayout:
        """The layout for a catalogue of `n_items`.

        Raises:
          ValueError: there would be more leaves than items, more leaves searched than there are, or a setting
            is not positive; the message names the settings.
        """
        for field in ('leaves', 'leaves_to_search', 'reorder'):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f'ScannSettings.{field}={value} must be at least 1')
        if not 0 < self.anisotropic_threshold < 1:
            raise ValueError(
                f'ScannSettings.anisotropic_threshold={self.anisotropic_threshold} must lie between 0 and 1'
            )
        if n_items < self.brute_force_below:
            return ScannLayout(0, 0, self.anisotropic_threshold, self.reorder)
        leaves = self.leaves or round(math.sqrt(n_items))
        searched = self.leaves_to_search or math.ceil(leaves * DEFAULT_SHARE_SEARCHED)
        if leaves > n_items:
            raise ValueError(f'ScannSettings.leaves={leaves} exceeds the {n_items} items of the index')
        if searched > leaves:
            raise ValueError(f'ScannSettings.leaves_to_search={searched} exceeds the {leaves} leaves')
        return ScannLayout(leaves, searched, self.anisotropic_threshold, self.reorder)
