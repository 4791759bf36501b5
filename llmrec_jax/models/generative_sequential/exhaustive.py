"""Scores of the whole catalogue: each head once at every prefix that leaves a choice."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue
from llmrec_jax.models.generative_sequential.head_parts import Heads, level_of, moved_states, queries


def log_probabilities(
    heads: Heads,
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, '_ out']],
    states: Float[Array, 'batch dim'],
) -> Float[Array, 'batch items']:
    """The log-probability of every item after each state, in nats; those of a row add up to 1.

    Args:
      heads: the parameters.
      catalogue: the codes.
      node_vectors: of the nodes under each level's.
      states: of the histories.
    """
    leaves = jax.lax.map(lambda state: _of_leaves(heads, catalogue, node_vectors, state), states)
    return leaves[:, catalogue.trie.item_nodes[:, -1]]


def _of_leaves(
    heads: Heads,
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, '_ out']],
    state: Float[Array, 'dim'],
) -> Float[Array, 'leaves']:
    of_nodes = jnp.zeros(1)
    for level, nodes in enumerate(catalogue.levels_of_nodes):
        so_far = of_nodes[nodes.parents]
        if not nodes.n_forks:
            of_nodes = so_far
            continue
        head, codes = level_of(heads, level), list(jnp.asarray(nodes.fork_codes.T))
        states = jnp.broadcast_to(state, (nodes.n_forks, len(state)))
        asked = queries(head, moved_states(heads, level, states, codes))
        # Children of nodes that are no fork read the last fork, and do not count.
        fork = jnp.minimum(nodes.fork, nodes.n_forks - 1)
        logits = jnp.sum(asked[fork] * node_vectors[level], axis=-1)
        most = jax.ops.segment_max(logits, nodes.fork, nodes.n_forks + 1)
        sums = jax.ops.segment_sum(jnp.exp(logits - most[nodes.fork]), nodes.fork, nodes.n_forks + 1)
        chosen = logits - (most + jnp.log(sums))[nodes.fork]
        of_nodes = so_far + jnp.where(nodes.fork < nodes.n_forks, chosen, 0.0)
    return of_nodes
