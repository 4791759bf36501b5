"""Heads that write the codes of the next item from a state, one level after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int, Key

from llmrec_jax.models.dropout import DIGITS, kept, kept_of
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, coded
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.layers import KERNEL_INIT

Level = Mapping[str, Any]
EPSILON = 1e-6


class AutoregressiveHeads(nn.Module):
    """A head for each level: the state, moved by the codes so far, gives the logits of the next code.

        z = h + sum_j E_j[c_j];  z = z + MLP(norm(z));  logits = norm(z) W + b

    With `node_dim` each child of a node has a vector u of its own beside its code's column of W, the mean of
    its items' vectors, projected; its logit gains `(norm(z) Q) u`.

    The heads are declared here and computed by the functions of this module, which take `levels`: so that a
    sum over positions may loop over them.

    Attributes:
      dim: of the states.
      hidden_dim: of the MLP.
      dropout_rate: between the MLP's two maps, and of the state that it reads.
      node_dim: width of the nodes' vectors; 0 for none.
      catalogue: the codes; None until `for_catalogue` says it.
    """

    dim: int
    hidden_dim: int = 128
    dropout_rate: float = 0.0
    node_dim: int = 0
    catalogue: CodedCatalogue | None = None

    def for_catalogue(self, facts: CatalogueFacts) -> 'AutoregressiveHeads':
        """The heads of this catalogue.

        Raises:
          ValueError: when the catalogue has no codes.
        """
        return self.clone(catalogue=coded(facts, 'AutoregressiveHeads'))

    def setup(self):
        """Declares the parameters of all levels."""
        if self.catalogue is None:
            raise ValueError('AutoregressiveHeads.catalogue is not known: call for_catalogue first')
        self.levels = [self._level(level) for level in range(self.catalogue.levels)]

    def _level(self, level: int) -> Level:
        sizes, dim, hidden = self.catalogue.sizes, self.dim, self.hidden_dim
        ones, zeros = nn.initializers.ones, nn.initializers.zeros

        def declared(name: str, init: Any, shape: Sequence[int], axes: Sequence[str]) -> Array:
            return partitioning.param_with_axes(
                f'level_{level}_{name}', init, tuple(shape), jnp.float32, axes=tuple(axes)
            )

        drawn = nn.initializers.normal(stddev=0.02)
        found = {
            'codes': [
                declared(f'codes_{above}', drawn, (sizes[above], dim), ('kv', 'embed'))
                for above in range(level)
            ],
            'norm': declared('norm_scale', ones, (dim,), ('embed',)),
            'wi': declared('wi_kernel', KERNEL_INIT, (dim, hidden), ('embed', 'kv')),
            'wi_bias': declared('wi_bias', zeros, (hidden,), ('kv',)),
            'wo': declared('wo_kernel', KERNEL_INIT, (hidden, dim), ('kv', 'embed')),
            'out_norm': declared('out_norm_scale', ones, (dim,), ('embed',)),
            'out': declared('out_kernel', KERNEL_INIT, (dim, sizes[level]), ('embed', 'kv')),
            'out_bias': declared('out_bias', zeros, (sizes[level],), ('kv',)),
        }
        if self.node_dim:
            found['query'] = declared('query_kernel', KERNEL_INIT, (dim, self.node_dim), ('embed', 'kv'))
            found['key'] = declared('key_kernel', KERNEL_INIT, (dim, self.node_dim), ('embed', 'kv'))
        return found

    def __call__(self) -> list[Level]:
        """The parameters, level by level."""
        return self.levels

    def node_vectors(self, table: Float[Array, 'rows dim']) -> list[Float[Array, 'nodes node_dim'] | None]:
        """The vectors of the nodes under each level's, None for none.

        Args:
          table: vectors of all items.
        """
        if not self.node_dim:
            return [None] * len(self.levels)
        trie = self.catalogue.trie
        vectors, found = table[trie.leaf_items], []
        for level, head in enumerate(self.levels):
            nodes = trie.item_nodes[trie.leaf_items, level]
            if level + 1 == len(self.levels):
                means = vectors
            else:
                counts = trie.leaf_counts[level]
                sums = jax.ops.segment_sum(vectors, nodes, len(counts), indices_are_sorted=True)
                means = sums / counts[:, None]
            found.append(means @ head['key'])
        return found


class Masks(NamedTuple):
    """What dropout multiplies a head's inner vectors by.

    Attributes:
      read: of the state that the MLP reads.
      inner: between the MLP's two maps.
    """

    read: Float[Array, '*batch dim']
    inner: Float[Array, '*batch hidden']


def drawn_masks(
    levels: Sequence[Level], positions: int, rate: float, key: Key[Array, ''] | None
) -> list[Masks | None]:
    """Dropout of every level, of one draw: each draw of its own would take as long to compile as a head.

    Args:
      levels: the heads' parameters.
      positions: how many states.
      rate: share that is set to zero.
      key: of the draw; None for no dropout.
    """
    if key is None or not rate:
        return [None] * len(levels)
    dim, hidden = levels[0]['wi'].shape
    share = kept_of(rate)
    drawn = kept(key, share, (len(levels), positions, dim + hidden)) * (2**DIGITS / share)
    return [Masks(of_level[:, :dim], of_level[:, dim:]) for of_level in drawn]


def hidden_states(
    head: Level,
    states: Float[Array, '*batch dim'],
    codes: Sequence[Int[Array, '*batch']],
    masks: Masks | None = None,
) -> Float[Array, '*batch dim']:
    """What a level's logits are read from.

    Args:
      head: parameters of the level.
      states: of the histories.
      codes: the levels above, first level first.
      masks: of dropout; None for none.
    """
    for table, code in zip(head['codes'], codes, strict=True):
        states = states + table.at[code].get(mode='clip')
    normed = _normed(states, head['norm'])
    normed = normed if masks is None else normed * masks.read
    inner = jax.nn.gelu(normed @ head['wi'] + head['wi_bias'])
    inner = inner if masks is None else inner * masks.inner
    return _normed(states + inner @ head['wo'], head['out_norm'])


def code_logits(
    head: Level,
    hidden: Float[Array, '*batch dim'],
    tokens: Int[Array, '*batch'],
    vectors: Float[Array, '*batch node_dim'] | None,
) -> Float[Array, '*batch']:
    """The logits of one child each: its code's, and what its own vector adds.

    Args:
      head: parameters of the level.
      hidden: what `hidden_states` gave.
      tokens: codes of the children.
      vectors: of the children's nodes.
    """
    logits = jnp.sum(hidden * head['out'].T[tokens], axis=-1) + head['out_bias'][tokens]
    if vectors is None:
        return logits
    return logits + jnp.sum((hidden @ head['query']) * vectors, axis=-1)


def slot_logits(
    head: Level,
    hidden: Float[Array, '*batch dim'],
    tokens: Int[Array, '*batch slots'],
    vectors: Float[Array, '*batch slots node_dim'] | None,
) -> Float[Array, '*batch slots']:
    """The logits of some children of one node each; arguments as in `code_logits`."""
    logits = jnp.take_along_axis(
        hidden @ head['out'] + head['out_bias'], tokens, axis=-1, mode='promise_in_bounds'
    )
    if vectors is None:
        return logits
    return logits + jnp.einsum('...d,...sd->...s', hidden @ head['query'], vectors)


def _normed(states: Float[Array, '*batch dim'], scale: Float[Array, 'dim']) -> Float[Array, '*batch dim']:
    centred = states - jnp.mean(states, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON) * scale
