"""Batches as a pure function of the seed and the step, cut into microbatches of like lengths."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.training.columns import ColumnStore


class Microbatch(NamedTuple):
    """A part of a batch in which every row is padded to one length.

    Attributes:
      rows: which examples of the store.
      features: the examples, feature name to padded tokens.
      length: what the bucketed feature is padded to.
    """

    rows: Int[np.ndarray, 'microbatch']
    features: Mapping[str, Int[np.ndarray, 'microbatch _']]
    length: int


@dataclasses.dataclass(frozen=True)
class Batches:
    """The training batches of a store.

    Examples run by in epochs, each a permutation drawn from (seed, epoch). A batch is sorted by the length of
    one feature and cut into microbatches, and each microbatch is padded only to the shortest bucket that
    holds it: the batch is the same as one padded to the full length, with most of the padding left out.

    Attributes:
      columns: the examples.
      batch_size: examples a step.
      feature_lengths: tokens of each feature when padded in full.
      microbatches: how many equal parts a batch is cut into.
      length_buckets: shorter lengths that `bucketed_feature` may be padded to.
      bucketed_feature: the feature whose length decides the order and the bucket.
      seed: of the order of examples.

    Raises:
      ValueError: when the sizes do not fit one another, or an example is longer than its feature's length.
    """

    columns: ColumnStore
    batch_size: int
    feature_lengths: Mapping[str, int]
    microbatches: int = 1
    length_buckets: tuple[int, ...] = ()
    bucketed_feature: str = 'inputs'
    seed: int = 0

    def __post_init__(self):
        if self.batch_size < 1 or self.microbatches < 1 or self.batch_size % self.microbatches:
            raise ValueError(
                f'batch_size={self.batch_size} cannot be cut into microbatches={self.microbatches} equal ones'
            )
        if self.bucketed_feature not in self.feature_lengths:
            raise ValueError(
                f'bucketed_feature={self.bucketed_feature!r} is no feature; the features are '
                f'{sorted(self.feature_lengths)}'
            )
        full = self.feature_lengths[self.bucketed_feature]
        if any(not 0 < bucket <= full for bucket in self.length_buckets):
            raise ValueError(
                f'length_buckets={self.length_buckets} must lie between 1 and the {full} tokens of '
                f'{self.bucketed_feature!r}'
            )
        for feature, length in self.feature_lengths.items():
            lengths = self.columns.lengths(feature)
            if lengths.max() > length:
                row = int(lengths.argmax())
                raise ValueError(
                    f'{self.columns.directory}: row {row} of feature {feature!r} has {int(lengths[row])} '
                    f'tokens, more than feature_lengths allows ({length})'
                )

    @property
    def microbatch_size(self) -> int:
        """Examples in a microbatch."""
        return self.batch_size // self.microbatches

    @functools.cached_property
    def lengths(self) -> tuple[int, ...]:
        """The padded lengths that can occur, ascending."""
        buckets = np.unique([*self.length_buckets, self.feature_lengths[self.bucketed_feature]])
        taken = np.searchsorted(buckets, self.columns.lengths(self.bucketed_feature))
        return tuple(int(length) for length in buckets[np.unique(taken)])

    def rows(self, step: int) -> Int[np.ndarray, 'batch']:
        """The examples of step `step`, in the order of the stream; steps count from 0."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, places = np.divmod(positions, len(self.columns))
        rows = np.empty(self.batch_size, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            rows[here] = _permutation(self.seed, int(epoch), len(self.columns))[places[here]]
        return rows

    def batch(self, step: int) -> list[Microbatch]:
        """The batch of step `step`, shortest microbatch first; depends on nothing but the step."""
        rows = self.rows(step)
        offsets = self.columns.offsets[self.bucketed_feature]
        lengths = offsets[rows + 1] - offsets[rows]
        order = np.argsort(lengths, kind='stable').reshape(self.microbatches, -1)
        return [self._microbatch(rows[part], int(lengths[part[-1]])) for part in order]

    def _microbatch(self, rows: np.ndarray, longest: int) -> Microbatch:
        length = next(length for length in self.lengths if length >= longest)
        pad_to = {**self.feature_lengths, self.bucketed_feature: length}
        return Microbatch(rows, self.columns.batch(rows, pad_to), length)


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, examples: int) -> Int[np.ndarray, 'examples']:
    return np.random.default_rng([seed, epoch]).permutation(examples)
