"""Scores of the whole catalogue: each head once at every prefix that leaves a choice."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue
from llmrec_jax.models.generative_sequential.heads import Level, hidden_states


def log_probabilities(
    levels: list[Level],
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, 'nodes node_dim'] | None],
    states: Float[Array, 'batch dim'],
) -> Float[Array, 'batch items']:
    """The log-probability of every item after each state, in nats; those of a row add up to 1.

    Args:
      levels: the heads' parameters.
      catalogue: the codes.
      node_vectors: of the nodes under each level's.
      states: of the histories.
    """
    leaves = jax.lax.map(lambda state: _of_leaves(levels, catalogue, node_vectors, state), states)
    return leaves[:, catalogue.trie.item_nodes[:, -1]]


def _of_leaves(
    levels: list[Level],
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, 'nodes node_dim'] | None],
    state: Float[Array, 'dim'],
) -> Float[Array, 'leaves']:
    of_nodes = jnp.zeros(1)
    for head, vectors, nodes in zip(levels, node_vectors, catalogue.levels_of_nodes, strict=True):
        so_far = of_nodes[nodes.parents]
        if not nodes.n_forks:
            of_nodes = so_far
            continue
        codes = [jnp.asarray(nodes.fork_codes[:, above]) for above in range(nodes.fork_codes.shape[1])]
        hidden = hidden_states(head, jnp.broadcast_to(state, (nodes.n_forks, len(state))), codes)
        logits = hidden @ head['out'] + head['out_bias']
        # Children of nodes that are no fork read the last fork, and do not count.
        fork = jnp.minimum(nodes.fork, nodes.n_forks - 1)
        logits = logits[fork, nodes.tokens]
        if vectors is not None:
            logits += jnp.sum((hidden @ head['query'])[fork] * vectors, axis=-1)
        most = jax.ops.segment_max(logits, nodes.fork, nodes.n_forks + 1, indices_are_sorted=False)
        sums = jax.ops.segment_sum(jnp.exp(logits - most[nodes.fork]), nodes.fork, nodes.n_forks + 1)
        chosen = logits - (most + jnp.log(sums))[nodes.fork]
        of_nodes = so_far + jnp.where(nodes.fork < nodes.n_forks, chosen, 0.0)
    return of_nodes
