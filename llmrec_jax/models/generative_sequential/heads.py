"""Heads that write the codes of the next item from a state: what all share, and one level after the other."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int, Key

from llmrec_jax import marks
from llmrec_jax.models.generative_sequential.code_loss import code_losses
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, coded
from llmrec_jax.models.generative_sequential.exhaustive import log_probabilities
from llmrec_jax.models.generative_sequential.head_parts import Heads
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts

KERNEL = nn.initializers.variance_scaling(1.0, 'fan_avg', 'uniform', in_axis=-2, out_axis=-1)


def declared(name: str, init: Any, *shape: int, axes: Sequence[str]) -> Array:
    """A parameter of the module whose `setup` asks.

    Args:
      name: of the parameter.
      init: draws it.
      *shape: of it.
      axes: logical names of its axes.
    """
    return partitioning.param_with_axes(name, init, shape, jnp.float32, axes=tuple(axes))


class CodeHeads(nn.Module):
    """Heads of a catalogue told by codes; one kind is a subclass.

    Attributes:
      by_search: of a kind: whether a beam search can ask it, level by level.
      dim: of the states.
      hidden_dim: of the MLP.
      out_dim: width of the vectors that states are compared with.
      dropout_rate: between the MLP's two maps, and of the state that it reads.
      label_smoothing: share of the target that is spread evenly in training, over the codes that the
        catalogue has there and no others.
      code_masking: share of the codes already written that heads do not see in training, each drawn by
        itself.
      catalogue: the codes; None until `for_catalogue` says it.
    """

    by_search: ClassVar[bool]

    dim: int
    hidden_dim: int = 128
    out_dim: int = 32
    dropout_rate: float = 0.0
    label_smoothing: float = marks.silent_default(0.0)
    code_masking: float = marks.silent_default(0.0)
    catalogue: CodedCatalogue | None = None

    def for_catalogue(self, facts: CatalogueFacts) -> 'CodeHeads':
        """The heads of this catalogue.

        Raises:
          ValueError: when the catalogue has no codes, or a share is not in [0, 1).
        """
        for name in ('label_smoothing', 'code_masking'):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f'{type(self).__name__}.{name}={value} must lie in [0, 1)')
        return self.clone(catalogue=coded(facts, type(self).__name__))

    def shared_parameters(self) -> dict[str, Array]:
        """Declares an MLP, a query and the codes' vectors of each level.

        Raises:
          ValueError: when the catalogue is not known.
        """
        if self.catalogue is None:
            raise ValueError(f'{type(self).__name__}.catalogue is not known: call for_catalogue first')
        levels, widest = self.catalogue.levels, max(self.catalogue.sizes)
        ones, zeros, drawn = nn.initializers.ones, nn.initializers.zeros, nn.initializers.normal
        dim, hidden, out = self.dim, self.hidden_dim, self.out_dim
        into, out_of = ('layers', 'embed', 'kv'), ('layers', 'kv', 'embed')
        return {
            'norm': declared('norm_scale', ones, levels, dim, axes=('layers', 'embed')),
            'wi': declared('wi_kernel', KERNEL, levels, dim, hidden, axes=into),
            'wi_bias': declared('wi_bias', zeros, levels, hidden, axes=('layers', 'kv')),
            'wo': declared('wo_kernel', KERNEL, levels, hidden, dim, axes=out_of),
            'out_norm': declared('out_norm_scale', ones, levels, dim, axes=('layers', 'embed')),
            'query': declared('query_kernel', KERNEL, levels, dim, out, axes=into),
            'words': declared('words', drawn(0.1), levels, widest, out, axes=('layers', 'length', 'kv')),
            'word_bias': declared('word_bias', zeros, levels, widest, axes=('layers', 'length')),
        }

    def __call__(self) -> Heads:
        """The parameters."""
        return self.parameters

    def losses(
        self,
        table: Float[Array, 'rows dim'],
        states: Float[Array, 'positions dim'],
        items: Int[Array, 'positions'],
        key: Key[Array, ''] | None,
    ) -> Float[Array, 'levels positions']:
        """`-log p` of each code of the items that come next, in nats.

        Args:
          table: vectors of all items.
          states: of the positions.
          items: what comes next.
          key: of dropout and masking; None for none, and for no smoothing.
        """
        raise NotImplementedError

    def log_probabilities(
        self, table: Float[Array, 'rows dim'], states: Float[Array, 'batch dim']
    ) -> Float[Array, 'batch items']:
        """What every item's codes have after each state, levels summed, in nats.

        Args:
          table: vectors of all items.
          states: of the histories.
        """
        raise NotImplementedError


class AutoregressiveHeads(CodeHeads):
    """A head for each level: the state, moved by the codes so far, asks among the children of their node.

        z = h + sum_j E_j[c_j];  z = z + MLP(norm(z));  logit of child n = (norm(z) Q) u_n + b_c

    The vector u_n of a node is that of its code, the same under all parents, and with `item_vectors` the mean
    of the vectors of the items under it, projected: a code alone cannot tell what is special to an item.

    Attributes as in `CodeHeads`, and

    Attributes:
      item_vectors: whether nodes know the vectors of their items.
    """

    by_search: ClassVar[bool] = True
    item_vectors: bool = True

    def setup(self):
        """Declares the parameters of all levels."""
        found, levels, widest = self.shared_parameters(), self.catalogue.levels, max(self.catalogue.sizes)
        pairs = levels * (levels - 1) // 2
        if pairs:
            # A level's tables of the codes above it, those of the first level's code first.
            found['codes'] = declared(
                'codes', nn.initializers.normal(0.02), pairs * widest, self.dim, axes=('length', 'embed')
            )
        if self.item_vectors:
            found['key'] = declared(
                'key_kernel', KERNEL, levels, self.dim, self.out_dim, axes=('layers', 'embed', 'kv')
            )
        self.parameters = found

    def losses(
        self,
        table: Float[Array, 'rows dim'],
        states: Float[Array, 'positions dim'],
        items: Int[Array, 'positions'],
        key: Key[Array, ''] | None,
    ) -> Float[Array, 'levels positions']:
        """See `CodeHeads`."""
        vectors = self.node_vectors(table)
        return code_losses(
            self.parameters, self.catalogue, vectors, states, items, self.dropout_rate, key,
            self.label_smoothing, self.code_masking,
        )  # fmt: skip

    def log_probabilities(
        self, table: Float[Array, 'rows dim'], states: Float[Array, 'batch dim']
    ) -> Float[Array, 'batch items']:
        """See `CodeHeads`; those of a row add up to 1."""
        return log_probabilities(self.parameters, self.catalogue, self.node_vectors(table), states)

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
