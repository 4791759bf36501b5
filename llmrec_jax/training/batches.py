"""Batches as a pure function of the seed and the step, cut into microbatches of like lengths.

The position in the input is the number of steps made, which the checkpoint holds with the parameters: a run
goes on with the very next batch, on any number of hosts. What a step trains on does not depend on how many
hosts there are; a host reads the lengths of all examples of the batch, which decide where each goes, and
the tokens of its own rows alone.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple

import grain.experimental
import numpy as np
from jaxtyping import Int

from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.packing import companions

# Rounds of the cipher behind the permutation, as many as Grain's own shuffle makes.
ROUNDS = 4
WHOLE = slice(None)


class Microbatch(NamedTuple):
    """A part of a batch in which every row is padded to one length, or one host's rows of it.

    Attributes:
      rows: which examples of the store.
      features: the examples, feature name to padded tokens.
      length: what the bucketed feature is padded to, the same on every host.
    """

    rows: Int[np.ndarray, 'rows']
    features: Mapping[str, Int[np.ndarray, 'rows _']]
    length: int


@dataclasses.dataclass(frozen=True)
class Batches:
    """The training batches of a store.

    Examples run by in epochs, each a permutation drawn from (seed, epoch), which is computed one place at a
    time: its memory does not grow with the store. A batch is sorted by the length of one feature and cut into
    microbatches, and each microbatch is padded only to the shortest bucket that holds it: the batch is the
    same as one padded to the full length, with most of the padding left out.

    Of a packed store (see `packing`), the segment ids and positions of each feature come along.

    Attributes:
      columns: the examples.
      batch_size: examples a step, over all hosts.
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
            longest, row = self.columns.longest(feature)
            if longest > length:
                raise ValueError(
                    f'{self.columns.directory}: row {row} of feature {feature!r} has {longest} '
                    f'tokens, more than feature_lengths allows ({length})'
                )

    @property
    def microbatch_size(self) -> int:
        """Examples in a microbatch, over all hosts."""
        return self.batch_size // self.microbatches

    @functools.cached_property
    def lengths(self) -> tuple[int, ...]:
        """The padded lengths that can occur, ascending."""
        buckets = np.unique([*self.length_buckets, self.feature_lengths[self.bucketed_feature]])
        taken = np.searchsorted(buckets, [*self.columns.length_counts(self.bucketed_feature)])
        return tuple(int(length) for length in buckets[np.unique(taken)])

    def padded_lengths(self, length: int) -> dict[str, int]:
        """Tokens of every feature in a microbatch whose bucketed feature is padded to `length`."""
        padded = {}
        for feature, full in self.feature_lengths.items():
            along = [name for name in companions(feature) if name in self.columns.features]
            width = length if feature == self.bucketed_feature else full
            padded |= dict.fromkeys((feature, *along), width)
        return padded

    def rows(self, step: int) -> Int[np.ndarray, 'batch']:
        """The examples of step `step`, in the order of the stream; steps count from 0."""
        last = len(self.columns) - 1
        rows = np.empty(self.batch_size, np.int64)
        for index, position in enumerate(range(step * self.batch_size, (step + 1) * self.batch_size)):
            epoch, place = divmod(position, last + 1)
            rows[index] = grain.experimental.index_shuffle(place, last, _epoch_seed(self.seed, epoch), ROUNDS)
        return rows

    def batch(self, step: int, rows_of: slice = WHOLE) -> list[Microbatch]:
        """The batch of step `step`, shortest microbatch first; depends on nothing but the step.

        Args:
          step: updates made before.
          rows_of: which rows of every microbatch to read: those that this host's devices hold (see
            `mesh.rows_of_this_process`).

        Returns:
          The microbatches, each cut down to `rows_of`.
        """
        rows = self.rows(step)
        lengths = self.columns.lengths(self.bucketed_feature, rows)
        order = np.argsort(lengths, kind='stable').reshape(self.microbatches, -1)
        return [self._microbatch(rows[part[rows_of]], int(lengths[part[-1]])) for part in order]

    def _microbatch(self, rows: np.ndarray, longest: int) -> Microbatch:
        length = next(length for length in self.lengths if length >= longest)
        return Microbatch(rows, self.columns.batch(rows, self.padded_lengths(length)), length)


@functools.lru_cache(maxsize=16)
def _epoch_seed(seed: int, epoch: int) -> int:
    """A seed for each epoch of each seed; Grain adds the two, so that its streams repeat one another."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
