"""A split whose training knows nothing of some items that test users are asked for (TIGER, section 4.3)."""

import dataclasses

import numpy as np

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.split_rules import OnTopOf
from llmrec_jax.corpora.splits import GIVEN, TEST, Cut
from llmrec_jax.subsets import draw_rows


@dataclasses.dataclass(frozen=True)
class ColdItems(OnTopOf):
    """What another rule holds out, and all events of some items that it asks test users for.

    Histories at the time of asking stay as they are: who had such an item had it. Nobody is asked for one
    on the validation split, which chooses what is trained.

    Attributes:
      split: see `OnTopOf`.
      share: of the items that test users are asked for; one at least. The paper has 5 %.
      seed: of the draw.

    Raises:
      ValueError: when the share is out of range.
    """

    share: float = 0.05
    seed: int = 0

    def __post_init__(self):
        if not 0 < self.share < 1:
            raise ValueError(f'ColdItems.share={self.share} must lie in (0, 1)')

    @property
    def name(self) -> str:
        """See `SplitRule`; e.g. 'cold_items_0.05'."""
        return self.named(f'cold_items_{self.share:g}')

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`."""
        whole = self.split.cut(corpus)
        asked = np.unique(corpus.events.item[whole.test])
        drawn = asked[draw_rows(len(asked), max(1, round(self.share * len(asked))), self.seed)]
        cold = np.isin(corpus.events.item, drawn)
        roles = whole.roles.copy()
        roles[cold & (roles != TEST)] = GIVEN
        kept = whole.validation[~cold[whole.validation]]
        return dataclasses.replace(whole, roles=roles, validation=kept)
