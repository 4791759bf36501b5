"""Exact search for a small catalogue, a tuned ScaNN index for a large one; and either from its folder."""

import dataclasses
import os
import pathlib

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.retrieval import exact, scann_index
from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.index_files import not_a_manifest, read_record
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.retrieval.scann_tuning import ScannTuning, tuned_index

EXACT_BELOW = 50_000


@dataclasses.dataclass(frozen=True)
class IndexChoice:
    """Which index item vectors get.

    Attributes:
      exact_below: a catalogue of fewer items is searched exactly. By `benchmarks/scann_retrieval.py` on two
        busy cores and vectors of 64 dimensions, a tuned ScaNN index answers 6 times as many queries a second
        at 20,000 items, 24 times at 100,000 and 14 times at 1,000,000, and takes as long to build and tune as
        exact search takes for 60,000 to 90,000 queries, at any of these sizes. So an evaluation alone is
        always done sooner by exact search; an index pays where it is kept and asked by many, or where one
        exact answer takes too long: the median was .3 ms at 20,000 items and 47 ms at 100,000.
      tuning: what a ScaNN index is to reach.
    """

    exact_below: int = EXACT_BELOW
    tuning: ScannTuning = dataclasses.field(default_factory=ScannTuning)

    def build(
        self,
        vectors: Float[np.ndarray, 'items dim'],
        queries: Float[np.ndarray, 'queries dim'],
        *,
        items: Int[np.ndarray, 'items'] | None = None,
    ) -> ExactSearch | ScannIndex:
        """The index.

        Args:
          vectors: one row an item.
          queries: what a ScaNN index is tuned with; see `tuned_index`.
          items: the item index of each row; None for 0, 1, 2, ...

        Raises:
          ValueError: see `ItemVectors.checked` and `tuned_index`.
        """
        if len(vectors) < self.exact_below:
            return ExactSearch(vectors, items=items)
        return tuned_index(vectors, queries, items=items, tuning=self.tuning)


def load_index(
    directory: str | os.PathLike, vectors: Float[np.ndarray, 'items dim'] | None = None
) -> ExactSearch | ScannIndex:
    """Whichever index was saved in `directory`.

    Args:
      directory: where it was saved.
      vectors: the item vectors that the index is to be over, by item; None to take whatever it is over.

    Raises:
      FileNotFoundError: `directory` holds no index.
      ValueError: it is damaged, or was made from other vectors.
    """
    directory = pathlib.Path(directory)
    kinds = {exact.FORMAT: ExactSearch, scann_index.FORMAT: ScannIndex}
    found = read_record(directory).get('format')
    if found not in kinds:
        raise not_a_manifest(directory, f'format {found!r}, expected one of {", ".join(kinds)}')
    return kinds[found].load(directory, vectors)
