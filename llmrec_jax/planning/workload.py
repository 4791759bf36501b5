"""What is planned: a model, how it is trained, and how it is decoded."""

import dataclasses
from typing import Any

import jax
import numpy as np

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.training.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class CatalogueSearch:
    """Decoding as the search of a catalogue's trie.

    Attributes:
      layout: of the semantic IDs.
      items: of the catalogue.
      users: decoded at once.
      remove_seen: whether items of the history are closed to the search.
    """

    layout: TokenLayout
    items: int
    users: int
    remove_seen: bool


@dataclasses.dataclass(frozen=True)
class TextStep:
    """Decoding as one step of a text decoder with its cache.

    Attributes:
      users: decoded at once.
      beams: of each user.
    """

    users: int
    beams: int


@dataclasses.dataclass(frozen=True, eq=False)
class Workload:
    """A recipe as far as its programs go.

    Attributes:
      model: the network and its loss.
      trainer: how it is trained.
      decoding: how it is decoded.
    """

    model: EncoderDecoderModel
    trainer: Trainer
    decoding: CatalogueSearch | TextStep

    @property
    def config(self) -> T5Config:
        """The network's shape."""
        return self.model.module.config

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of a full input and a full target."""
        lengths = self.trainer.feature_lengths
        return lengths['inputs'], lengths['targets']

    def training_features(self) -> dict[str, np.ndarray]:
        """A microbatch of padding at full length, as the model's features."""
        size = self.trainer.batch_size // self.trainer.microbatches
        lengths = self.trainer.feature_lengths
        return dict(
            self.model.convert_features(
                {name: np.zeros((size, length), np.int32) for name, length in lengths.items()}
            )
        )


def catalogue_trie(layout: TokenLayout, items: int, seed: int = 0) -> Trie:
    """The shapes of a trie over so many items with random semantic IDs.

    Raises:
      ValueError: when the layout has not that many.
    """
    tuples = int(np.prod(layout.codebook_sizes, dtype=np.int64))
    if not 0 < items <= tuples:
        raise ValueError(
            f'--items={items} does not fit codebooks of {layout.codebook_sizes}, '
            f'which tell {tuples} items apart'
        )
    generator = np.random.default_rng(seed)
    numbers = np.unique(generator.integers(0, tuples, 2 * items))
    if len(numbers) < items:
        numbers = np.arange(items)
    chosen = generator.permutation(numbers)[:items]
    codes = np.stack(np.unravel_index(chosen, layout.codebook_sizes), axis=-1)
    ranges = tuple(zip(layout.level_offsets, layout.codebook_sizes))
    trie = build_trie(layout.item_tokens(codes), level_ranges=ranges)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), trie)


def beams_at(decoding: CatalogueSearch, beam_size: int) -> list[int]:
    """Beams of a user at each level of the search: one at first, then at most `beam_size`."""
    widths, beams = decoding.layout.codebook_sizes, [1]
    for width in widths[:-1]:
        beams.append(min(beam_size, beams[-1] * width))
    return beams


def placed(tree: Any, sharding: Any) -> Any:
    """Shapes of arrays with one sharding for all."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)
