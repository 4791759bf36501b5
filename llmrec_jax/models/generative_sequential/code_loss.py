"""Cross-entropy of the next item's codes, level by level, each over the children of the codes before it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from llmrec_jax.models.generative_sequential.coded_catalogue import (
    CodedCatalogue,
    allowed_codes,
    children_of,
)
from llmrec_jax.models.generative_sequential.heads import (
    Heads,
    all_logits,
    drawn_masks,
    hidden_states,
    moved_states,
)


def code_losses(
    heads: Heads,
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, 'nodes node_dim']] | None,
    states: Float[Array, 'positions dim'],
    items: Int[Array, 'positions'],
    dropout_rate: float,
    key: Key[Array, ''] | None,
) -> Float[Array, 'levels positions']:
    """`-log p` of each code of the items that come next, in nats; their sum is that of the item.

    Args:
      heads: the parameters.
      catalogue: the codes.
      node_vectors: of the nodes under each level's; None for none.
      states: of the positions.
      items: what comes next.
      dropout_rate: of the heads.
      key: of dropout; None for none.
    """
    codes = jnp.asarray(catalogue.codes.T)[:, items]
    moved = [moved_states(heads, level, states, codes[:level]) for level in range(catalogue.levels)]
    masks = drawn_masks(heads, len(items), dropout_rate, key)
    hidden = hidden_states(heads, jnp.stack(moved), masks)
    logits = all_logits(heads, hidden)
    if node_vectors is not None:
        return _with_vectors(heads, catalogue, node_vectors, hidden, logits, items)
    logits = jnp.where(allowed_codes(catalogue, items, logits.shape[-1]), logits, -jnp.inf)
    of_target = jnp.take_along_axis(logits, codes[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - of_target


def _with_vectors(
    heads: Heads,
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, 'nodes node_dim']],
    hidden: Float[Array, 'levels positions dim'],
    logits: Float[Array, 'levels positions widest'],
    items: Int[Array, 'positions'],
) -> Float[Array, 'levels positions']:
    """The same where children have vectors of their own, slot by slot."""
    path, queries, losses = catalogue.trie.item_nodes[items], hidden @ heads['query'], []
    for level, vectors in enumerate(node_vectors):
        nodes = path[:, level - 1] if level else jnp.zeros_like(items)
        children, tokens, exists = children_of(catalogue.trie, level, nodes)
        slots = jnp.take_along_axis(logits[level], tokens, axis=-1, mode='promise_in_bounds')
        if level:
            slots += jnp.einsum('pd,psd->ps', queries[level], vectors[children])
        else:
            slots += queries[level] @ vectors.T
        slots = jnp.where(exists, slots, -jnp.inf)
        place = path[:, level] - children[:, 0]
        of_target = jnp.take_along_axis(slots, place[:, None], axis=-1)[:, 0]
        losses.append(jax.nn.logsumexp(slots, axis=-1) - of_target)
    return jnp.stack(losses)
