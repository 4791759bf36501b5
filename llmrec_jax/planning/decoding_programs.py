"""The programs that answer a batch of users: a search of a trie, a step of a text, scores of a catalogue."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.planning.shapes import placed, sharded_params
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.training.mesh import DATA, MODEL, batch_sharding, replicated
from llmrec_jax.training.trainer import Trainer


@runtime_checkable
class DecodingProgram(Protocol):
    """What is compiled to plan decoding; a frozen dataclass.

    Attributes:
      users: answered at once, over all devices.
    """

    users: int

    def shards(self, mesh: tuple[int, int]) -> int:
        """Into how many parts a mesh of data x model devices cuts the users."""
        ...

    def lower(self, model: Any, trainer: Trainer, mesh: Mesh) -> tuple[PyTree[jax.ShapeDtypeStruct], Any]:
        """The parameters that the program reads, and the program as `jax.jit(...).lower` gives it."""
        ...

    def model_flops(self, model: Any, trainer: Trainer) -> int | None:
        """FLOPs of a run by formula, over all devices; None where there is no formula."""
        ...

    def title(self, model: Any, trainer: Trainer) -> str:
        """What is decoded, for the heading of a table."""
        ...


@dataclasses.dataclass(frozen=True)
class CatalogueSearch:
    """The search of a catalogue's trie, parameters as trained and users over all devices.

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

    def shards(self, mesh: tuple[int, int]) -> int:
        """See `DecodingProgram`."""
        return mesh[0] * mesh[1]

    def lower(self, model: GenerativeModel, trainer: Trainer, mesh: Mesh) -> tuple[Any, Any]:
        """See `DecodingProgram`."""
        params, length = sharded_params(model, trainer, mesh), trainer.feature_lengths['inputs']
        features = model.convert_features({'inputs': np.zeros((self.users, length), np.int32)})
        inputs = {'batch': features}
        if self.remove_seen:
            history = (length - 1) // self.layout.n_levels
            inputs['seen'] = jax.ShapeDtypeStruct((self.users, history), jnp.int32)
        trie = placed(catalogue_trie(self.layout, self.items), replicated(mesh))

        def search(params: Any, trie: Any, batch: Any, **filters: Any) -> Any:
            return model.recommend(params, batch, trie, **filters)

        over_devices = NamedSharding(mesh, PartitionSpec((DATA, MODEL)))
        return params, jax.jit(search).lower(params, trie, **placed(inputs, over_devices))

    def model_flops(self, model: GenerativeModel, trainer: Trainer) -> int:
        """See `DecodingProgram`."""
        length = trainer.feature_lengths['inputs']
        tokens = self.users * sum(beams_at(self, model.decode_fn.beam_size))
        return model.read_flops(self.users, length) + tokens * model.step_flops(length, self.layout.n_levels)

    def title(self, model: GenerativeModel, trainer: Trainer) -> str:
        """See `DecodingProgram`."""
        beam, length = model.decode_fn.beam_size, trainer.feature_lengths['inputs']
        return f'Decoding: the search of {self.items:,} items, beam {beam}, {length} input tokens'


@dataclasses.dataclass(frozen=True)
class TextStep:
    """One position of every beam of a text decoder; caches are donated, heads lie with the weights.

    Attributes:
      users: decoded at once.
      beams: of each user.
    """

    users: int
    beams: int

    def shards(self, mesh: tuple[int, int]) -> int:
        """See `DecodingProgram`."""
        return mesh[0]

    def lower(self, model: GenerativeModel, trainer: Trainer, mesh: Mesh) -> tuple[Any, Any]:
        """See `DecodingProgram`."""
        params = sharded_params(model, trainer, mesh)
        inputs, targets = trainer.feature_lengths['inputs'], trainer.feature_lengths['targets']
        blank = model.convert_features({'inputs': np.zeros((self.users, inputs), np.int32)})
        features = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in blank.items()}
        read = jax.eval_shape(model.read, params, features)
        cache = jax.eval_shape(lambda: model.module.init_self_cache(self.users, self.beams, targets))

        def spread(leaf: Any, axes: Sequence[str | None]) -> jax.ShapeDtypeStruct:
            shared = {'batch': DATA}
            if 'heads' in axes and leaf.shape[axes.index('heads')] % mesh.shape[MODEL] == 0:
                shared['heads'] = MODEL
            spec = PartitionSpec(*map(shared.get, axes))
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

        read = jax.tree.map(lambda leaf: spread(leaf, model.read_axes(leaf.ndim)), read)
        cache = jax.tree.map(
            lambda leaf: spread(leaf, ('batch', *(None,) * (leaf.ndim - 3), 'heads', 'kv')), cache
        )
        by_user = NamedSharding(mesh, PartitionSpec(DATA))
        newest = jax.ShapeDtypeStruct((self.users, self.beams), jnp.int32, sharding=by_user)
        position = jax.ShapeDtypeStruct((), jnp.int32, sharding=replicated(mesh))

        def step(params: Any, cache: Any, read: Any, newest: Any, position: Any) -> Any:
            return model.decode(params, read, newest, position, cache)

        outputs = (by_user, jax.tree.map(lambda leaf: leaf.sharding, cache))
        with jax.set_mesh(mesh), partitioning.axis_rules(trainer.logical_axis_rules):
            lowered = jax.jit(step, donate_argnums=1, out_shardings=outputs).lower(
                params, cache, read, newest, position
            )
        return params, lowered

    def model_flops(self, model: GenerativeModel, trainer: Trainer) -> int:
        """See `DecodingProgram`."""
        lengths = (trainer.feature_lengths['inputs'], trainer.feature_lengths['targets'])
        return self.users * self.beams * model.step_flops(*lengths)

    def title(self, model: GenerativeModel, trainer: Trainer) -> str:
        """See `DecodingProgram`."""
        del model
        length = trainer.feature_lengths['inputs']
        return f'Decoding: one cached step of {self.beams} beams a user, {length} input tokens'


@runtime_checkable
class ScoresCatalogue(Protocol):
    """A model that scores every item after each history."""

    def scores(
        self, params: PyTree[Array], histories: Int[Array, 'batch width']
    ) -> Float[Array, 'batch rows']:
        """The score of every item after each history."""
        ...


@dataclasses.dataclass(frozen=True)
class CatalogueScores:
    """Scores of the whole catalogue after each history, and the best of them.

    Users lie over the mesh's data axis and items over its model axis, as the rules say.

    Attributes:
      items: of the catalogue.
      users: scored at once.
      max_items: the newest items of a history that are read.
      list_length: items in a list.
    """

    items: int
    users: int
    max_items: int
    list_length: int

    def shards(self, mesh: tuple[int, int]) -> int:
        """See `DecodingProgram`."""
        return mesh[0]

    def lower(self, model: Any, trainer: Trainer, mesh: Mesh) -> tuple[Any, Any]:
        """See `DecodingProgram`."""
        params, rules = sharded_params(model, trainer, mesh), trainer.logical_axis_rules
        histories = jax.ShapeDtypeStruct((self.users, self.max_items), jnp.int32)

        def ranked(params: Any, histories: Any) -> Any:
            scores = model.scores(params, histories)
            scores = partitioning.with_sharding_constraint(scores, ('batch', 'vocab'))
            return jax.lax.top_k(scores, min(self.list_length, self.items))

        with jax.set_mesh(mesh), partitioning.axis_rules(rules):
            lowered = jax.jit(ranked, out_shardings=replicated(mesh)).lower(
                params, placed(histories, batch_sharding(mesh, rules))
            )
        return params, lowered

    def model_flops(self, model: ScoresCatalogue, trainer: Trainer) -> None:
        """See `DecodingProgram`; encoders of histories differ too much for a formula."""
        del model, trainer

    def title(self, model: ScoresCatalogue, trainer: Trainer) -> str:
        """See `DecodingProgram`."""
        del model, trainer
        return (
            f'Decoding: scores of {self.items:,} items and the best {self.list_length}, '
            f'{self.max_items} items a history'
        )


def catalogue_trie(layout: TokenLayout, items: int, seed: int = 0) -> Trie:
    """The shapes of a trie over so many items with random semantic IDs.

    Raises:
      ValueError: when the layout has not that many.
    """
    codes = distinct_codes(layout.codebook_sizes, items, seed)
    ranges = tuple(zip(layout.level_offsets, layout.codebook_sizes))
    trie = build_trie(layout.item_tokens(codes), level_ranges=ranges)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), trie)


def distinct_codes(
    codebook_sizes: Sequence[int], items: int, seed: int = 0
) -> Int[np.ndarray, 'items levels']:
    """Random codes that tell so many items apart.

    Args:
      codebook_sizes: of each level.
      items: how many.
      seed: of the draw.

    Raises:
      ValueError: when there are not that many.
    """
    tuples = int(np.prod(codebook_sizes, dtype=np.int64))
    if not 0 < items <= tuples:
        raise ValueError(
            f'--items={items} does not fit codebooks of {codebook_sizes}, which tell {tuples} items apart'
        )
    generator = np.random.default_rng(seed)
    numbers = np.unique(generator.integers(0, tuples, 2 * items))
    if len(numbers) < items:
        numbers = np.arange(items)
    chosen = generator.permutation(numbers)[:items]
    return np.stack(np.unravel_index(chosen, codebook_sizes), axis=-1)


def beams_at(decoding: CatalogueSearch, beam_size: int) -> list[int]:
    """Beams of a user at each level of the search: one at first, then at most `beam_size`."""
    widths, beams = decoding.layout.codebook_sizes, [1]
    for width in widths[:-1]:
        beams.append(min(beam_size, beams[-1] * width))
    return beams
