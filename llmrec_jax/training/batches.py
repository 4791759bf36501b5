"""Batches as a pure function of the seed and the step, cut into microbatches of like lengths or at random.

The position in the input is the number of steps made, which the checkpoint holds with the parameters: a run
goes on with the very next batch, on any number of hosts. What a step trains on does not depend on how many
hosts there are; a host reads the lengths of all examples of the batch, which decide where each goes, and
the tokens of its own rows alone. Batches are made in the background, ahead of the device.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import grain
import grain.experimental
import numpy as np
from jaxtyping import Int

from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.packing import companions

# Rounds of the cipher behind the permutation, as many as Grain's own shuffle makes.
ROUNDS = 4
WHOLE = slice(None)
# Tokens that the bucketed feature is padded to, and the bucket of the other features.
Shape = tuple[int, int]


class Microbatch(NamedTuple):
    """A part of a batch in which every row is padded to one shape, or one host's rows of it.

    Attributes:
      rows: which examples of the store.
      features: the examples, feature name to padded tokens.
      shape: what the bucketed feature and the others are padded to, the same on every host.
    """

    rows: Int[np.ndarray, 'rows']
    features: Mapping[str, Int[np.ndarray, 'rows _']]
    shape: Shape

    @property
    def length(self) -> int:
        """What the bucketed feature is padded to."""
        return self.shape[0]


@dataclasses.dataclass(frozen=True)
class Batches:
    """The training batches of a store.

    Examples run by in epochs, each a permutation drawn from (seed, epoch), which is computed one place at a
    time: its memory does not grow with the store. A batch is sorted by the length of one feature and cut into
    microbatches, and each microbatch is padded only to the shortest bucket that holds it: the batch is the
    same as one padded to the full length, with most of the padding left out. Where the other features have
    buckets too, it is sorted by these first, so that answers of a word and answers of a sentence are apart.

    Where examples are one another's negatives, a microbatch of like lengths is no sample of the examples:
    there a batch is cut at random.

    Of a packed store (see `packing`), the segment ids and positions of each feature come along.

    Attributes:
      columns: the examples.
      batch_size: examples a step, over all hosts.
      feature_lengths: tokens of each feature when padded in full.
      microbatches: how many equal parts a batch is cut into.
      length_buckets: shorter lengths that `bucketed_feature` may be padded to.
      bucketed_feature: the feature whose length decides the order and the bucket.
      other_buckets: lengths that the other features may be padded to, where they are shorter in full.
      seed: of the order of examples.
      by_length: whether a batch is cut into microbatches by length, or at random.

    Raises:
      ValueError: when the sizes do not fit one another, or an example is longer than its feature's length.
    """

    columns: ColumnStore
    batch_size: int
    feature_lengths: Mapping[str, int]
    microbatches: int = 1
    length_buckets: tuple[int, ...] = ()
    bucketed_feature: str = 'inputs'
    other_buckets: tuple[int, ...] = ()
    seed: int = 0
    by_length: bool = True

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
        if any(bucket < 1 for bucket in self.other_buckets):
            raise ValueError(f'other_buckets={self.other_buckets} must be 1 or more')
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
    def shapes(self) -> tuple[Shape, ...]:
        """The padded shapes that can occur, the widest last."""
        return tuple(itertools.product(self._occurring(self.bucketed_feature), self._other_lengths))

    @functools.cached_property
    def _other_lengths(self) -> tuple[int, ...]:
        """Buckets of the other features that can occur, ascending."""
        found = {length for feature in self._others for length in self._occurring(feature)}
        return tuple(sorted(found)) or (0,)

    @property
    def _others(self) -> tuple[str, ...]:
        return tuple(feature for feature in self.feature_lengths if feature != self.bucketed_feature)

    def _buckets(self, feature: str) -> Int[np.ndarray, 'buckets']:
        chosen = self.length_buckets if feature == self.bucketed_feature else self.other_buckets
        full = self.feature_lengths[feature]
        return np.unique([*(bucket for bucket in chosen if bucket < full), full])

    def _occurring(self, feature: str) -> tuple[int, ...]:
        buckets = self._buckets(feature)
        taken = np.searchsorted(buckets, [*self.columns.length_counts(feature)])
        return tuple(int(length) for length in buckets[np.unique(taken)])

    def padded_lengths(self, shape: Shape) -> dict[str, int]:
        """Tokens of every feature in a microbatch of a shape."""
        padded = {}
        for feature, full in self.feature_lengths.items():
            along = [name for name in companions(feature) if name in self.columns.features]
            width = shape[0] if feature == self.bucketed_feature else min(shape[1], full)
            padded |= dict.fromkeys((feature, *along), width)
        return padded

    def shape_of(self, rows: Int[np.ndarray, 'rows']) -> Shape:
        """The smallest shape that holds some examples."""
        lengths = self.columns.lengths(self.bucketed_feature, rows)
        own = self._occurring(self.bucketed_feature)
        longest = int(lengths.max())
        return (
            next(length for length in own if length >= longest),
            int(self._other_bucket(rows).max()),
        )

    def order(self, rows: Int[np.ndarray, 'rows']) -> Int[np.ndarray, 'rows']:
        """The places of examples by their bucket in the other features, and then by their length.

        Without `by_length` it is an order that is drawn by the seed.
        """
        if not self.by_length:
            return np.random.default_rng((self.seed, len(rows))).permutation(len(rows))
        lengths = self.columns.lengths(self.bucketed_feature, rows)
        return np.lexsort((lengths, self._other_bucket(rows)))

    def _other_bucket(self, rows: Int[np.ndarray, 'rows']) -> Int[np.ndarray, 'rows']:
        """The bucket that holds an example's other features, all of them."""
        found = np.zeros(len(rows), np.int64)
        if len(self._other_lengths) == 1:
            return found + self._other_lengths[0]
        for feature in self._others:
            buckets = self._buckets(feature)
            lengths = self.columns.lengths(feature, rows)
            found = np.maximum(found, buckets[np.searchsorted(buckets, lengths)])
        return found

    def rows(self, step: int) -> Int[np.ndarray, 'batch']:
        """The examples of step `step`, in the order of the stream; steps count from 0."""
        positions = range(step * self.batch_size, (step + 1) * self.batch_size)
        return np.asarray([example_at(place, len(self.columns), self.seed) for place in positions], np.int64)

    def batch(self, step: int, rows_of: slice = WHOLE) -> list[Microbatch]:
        """The batch of step `step`, in the order of `order`; depends on nothing but the step.

        Args:
          step: updates made before.
          rows_of: which rows of every microbatch to read: those that this host's devices hold (see
            `mesh.rows_of_this_process`).

        Returns:
          The microbatches, each cut down to `rows_of`.
        """
        rows = self.rows(step)
        parts = rows[self.order(rows)].reshape(self.microbatches, -1)
        return [self._microbatch(part[rows_of], self.shape_of(part)) for part in parts]

    def _microbatch(self, rows: np.ndarray, shape: Shape) -> Microbatch:
        return Microbatch(rows, self.columns.batch(rows, self.padded_lengths(shape)), shape)


def example_at(position: int, examples: int, seed: int) -> int:
    """The example at a place of the stream of all epochs, each a permutation of `examples` by the seed."""
    epoch, place = divmod(position, examples)
    return grain.experimental.index_shuffle(place, examples - 1, _epoch_seed(seed, epoch), ROUNDS)


@functools.lru_cache(maxsize=16)
def _epoch_seed(seed: int, epoch: int) -> int:
    """A seed for each epoch of each seed; Grain adds the two, so that its streams repeat one another."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


T = TypeVar('T')
AHEAD = 2


def prefetched(make: Callable[[int], T], first: int, last: int) -> Any:
    """Yields `make(first), make(first + 1), ... make(last - 1)`, made by another thread up to `AHEAD` early.

    Since `make` depends on the step alone, being ahead changes nothing but the waiting. It is an iterator of
    Grain's; close it to stop the thread.
    """
    steps = grain.MapDataset.range(first, last).map(make)
    return iter(steps.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)))
