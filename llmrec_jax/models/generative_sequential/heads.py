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

# Parameters of all levels, level first; or those of one.
Heads = Mapping[str, Any]
EPSILON = 1e-6


class AutoregressiveHeads(nn.Module):
    """A head for each level: the state, moved by the codes so far, asks among the children of their node.

        z = h + sum_j E_j[c_j];  z = z + MLP(norm(z));  logit of child n = (norm(z) Q) u_n + b_c

    The vector u_n of a node is that of its code, the same under all parents, and with `item_vectors` the mean
    of the vectors of the items under it, projected: a code alone cannot tell what is special to an item.

    Attributes:
      dim: of the states.
      hidden_dim: of the MLP.
      out_dim: width of the nodes' vectors.
      dropout_rate: between the MLP's two maps, and of the state that it reads.
      item_vectors: whether nodes know the vectors of their items.
      catalogue: the codes; None until `for_catalogue` says it.
    """

    dim: int
    hidden_dim: int = 128
    out_dim: int = 32
    dropout_rate: float = 0.0
    item_vectors: bool = True
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
        levels, widest = self.catalogue.levels, max(self.catalogue.sizes)
        ones, zeros, drawn = nn.initializers.ones, nn.initializers.zeros, nn.initializers.normal
        kernel = nn.initializers.variance_scaling(1.0, 'fan_avg', 'uniform', in_axis=-2, out_axis=-1)

        def declared(name: str, init: Any, *shape: int, axes: Sequence[str]) -> Array:
            return partitioning.param_with_axes(name, init, shape, jnp.float32, axes=tuple(axes))

        dim, hidden, out = self.dim, self.hidden_dim, self.out_dim
        into, out_of = ('layers', 'embed', 'kv'), ('layers', 'kv', 'embed')
        found = {
            'norm': declared('norm_scale', ones, levels, dim, axes=('layers', 'embed')),
            'wi': declared('wi_kernel', kernel, levels, dim, hidden, axes=into),
            'wi_bias': declared('wi_bias', zeros, levels, hidden, axes=('layers', 'kv')),
            'wo': declared('wo_kernel', kernel, levels, hidden, dim, axes=out_of),
            'out_norm': declared('out_norm_scale', ones, levels, dim, axes=('layers', 'embed')),
            'query': declared('query_kernel', kernel, levels, dim, out, axes=into),
            'words': declared('words', drawn(0.1), levels, widest, out, axes=('layers', 'length', 'kv')),
            'word_bias': declared('word_bias', zeros, levels, widest, axes=('layers', 'length')),
        }
        pairs = levels * (levels - 1) // 2
        if pairs:
            # A level's tables of the codes above it, those of the first level's code first.
            found['codes'] = declared('codes', drawn(0.02), pairs * widest, dim, axes=('length', 'embed'))
        if self.item_vectors:
            found['key'] = declared('key_kernel', kernel, levels, dim, out, axes=into)
        self.parameters = found

    def __call__(self) -> Heads:
        """The parameters."""
        return self.parameters

    def node_vectors(self, table: Float[Array, 'rows dim']) -> list[Float[Array, '_ out_plus_1']]:
        """The vectors of the nodes under each level's, their biases as a last column.

        Args:
          table: vectors of all items.
        """
        trie, heads, found = self.catalogue.trie, self.parameters, []
        for level in range(self.catalogue.levels):
            tokens = trie.child_tokens[level]
            vectors = heads['words'][level][tokens]
            if self.item_vectors:
                vectors += self._means(table[trie.leaf_items], level) @ heads['key'][level]
            found.append(jnp.concatenate([vectors, heads['word_bias'][level][tokens][:, None]], axis=1))
        return found

    def _means(self, leaves: Float[Array, 'items dim'], level: int) -> Float[Array, 'nodes dim']:
        if level + 1 == self.catalogue.levels:
            return leaves
        trie = self.catalogue.trie
        nodes, counts = trie.item_nodes[trie.leaf_items, level], trie.leaf_counts[level]
        return jax.ops.segment_sum(leaves, nodes, len(counts), indices_are_sorted=True) / counts[:, None]


class Masks(NamedTuple):
    """What dropout multiplies the heads' inner vectors by.

    Attributes:
      read: of the states that the MLPs read.
      inner: between the MLPs' two maps.
    """

    read: Float[Array, 'levels positions dim']
    inner: Float[Array, 'levels positions hidden']


def drawn_masks(heads: Heads, positions: int, rate: float, key: Key[Array, ''] | None) -> Masks | None:
    """Dropout of all levels in one draw; None for none.

    Args:
      heads: the parameters.
      positions: how many states.
      rate: share that is set to zero.
      key: of the draw; None for no dropout.
    """
    if key is None or not rate:
        return None
    levels, dim, hidden = heads['wi'].shape
    share = kept_of(rate)
    drawn = kept(key, share, (levels, positions, dim + hidden)) * (2**DIGITS / share)
    return Masks(drawn[..., :dim], drawn[..., dim:])


def level_of(heads: Heads, level: int) -> Heads:
    """The parameters of one level."""
    return {name: array[level] for name, array in heads.items() if name != 'codes'}


def moved_states(
    heads: Heads, level: int, states: Float[Array, '*batch dim'], codes: Sequence[Int[Array, '*batch']]
) -> Float[Array, '*batch dim']:
    """The states moved by the codes above a level.

    Args:
      heads: the parameters of all levels.
      level: which.
      states: of the histories.
      codes: of the levels above, first level first.
    """
    widest = heads['words'].shape[1]
    first = level * (level - 1) // 2
    for above, code in enumerate(codes):
        states = states + heads['codes'].at[(first + above) * widest + code].get(mode='clip')
    return states


def queries(
    head: Heads, moved: Float[Array, '*batch positions dim'], masks: Masks | None = None
) -> Float[Array, '*batch positions out_plus_1']:
    """What nodes' vectors are multiplied by, their bias by 1.

    Args:
      head: parameters of one level, or of all.
      moved: states moved by codes; of all levels, level first.
      masks: of dropout; None for none.
    """
    normed = _normed(moved, head['norm'])
    normed = normed if masks is None else normed * masks.read
    inner = jax.nn.gelu(normed @ head['wi'] + head['wi_bias'][..., None, :])
    inner = inner if masks is None else inner * masks.inner
    asked = _normed(moved + inner @ head['wo'], head['out_norm']) @ head['query']
    return jnp.concatenate([asked, jnp.ones_like(asked[..., :1])], axis=-1)


def _normed(
    states: Float[Array, '*batch positions dim'], scale: Float[Array, '*levels dim']
) -> Float[Array, '*batch positions dim']:
    centred = states - jnp.mean(states, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON) * scale[..., None, :]
