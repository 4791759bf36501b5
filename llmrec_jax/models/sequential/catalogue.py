"""What is known of a catalogue before a network over it is made."""

import dataclasses

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogueFacts:
    """What item encoders and losses are made for.

    Attributes:
      n_items: size of the catalogue.
      train_counts: how often each item occurs in the training histories; None where nobody counted.
      vectors: embeddings of the items' text or other content; None where there are none.

    Raises:
      ValueError: when there is no item, or an array has not one row for each.
    """

    n_items: int
    train_counts: Float[np.ndarray, 'items'] | None = None
    vectors: Float[np.ndarray, 'items width'] | None = None

    def __post_init__(self):
        if self.n_items < 1:
            raise ValueError(f'a catalogue of n_items={self.n_items} has nothing to recommend')
        for name in ('train_counts', 'vectors'):
            array = getattr(self, name)
            if array is not None and len(array) != self.n_items:
                raise ValueError(
                    f'CatalogueFacts.{name} has {len(array)} rows for {self.n_items} items: '
                    'it was made of another corpus'
                )
