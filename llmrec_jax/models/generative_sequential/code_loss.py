"""Cross-entropy of the next item's codes, level by level, each over the children of the codes before it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, children_of
from llmrec_jax.models.generative_sequential.heads import (
    Level,
    code_logits,
    drawn_masks,
    hidden_states,
    slot_logits,
)


def code_losses(
    levels: list[Level],
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, 'nodes node_dim'] | None],
    states: Float[Array, 'positions dim'],
    items: Int[Array, 'positions'],
    dropout_rate: float,
    key: Key[Array, ''] | None,
) -> Float[Array, 'positions levels']:
    """`-log p` of each code of the items that come next, in nats; their sum is that of the item.

    Args:
      levels: the heads' parameters.
      catalogue: the codes.
      node_vectors: of the nodes under each level's.
      states: of the positions.
      items: what comes next.
      dropout_rate: of the heads.
      key: of dropout; None for none.
    """
    trie = catalogue.trie
    codes = jnp.asarray(catalogue.codes)[items]
    path = trie.item_nodes[items]
    losses = []
    masks = drawn_masks(levels, len(states), dropout_rate, key)
    for level, (head, vectors) in enumerate(zip(levels, node_vectors, strict=True)):
        above = [codes[:, before] for before in range(level)]
        hidden = hidden_states(head, states, above, masks[level])
        if level == 0:
            # All positions choose among the root's children.
            logits = hidden @ head['out'] + head['out_bias']
            if len(trie.child_tokens[0]) < logits.shape[1]:
                logits = logits[:, trie.child_tokens[0]]
            if vectors is not None:
                logits += (hidden @ head['query']) @ vectors.T
        else:
            children, tokens, exists = children_of(trie, level, path[:, level - 1])
            logits = slot_logits(head, hidden, tokens, None if vectors is None else vectors[children])
            logits = jnp.where(exists, logits, -jnp.inf)
        chosen = None if vectors is None else vectors[path[:, level]]
        of_target = code_logits(head, hidden, codes[:, level], chosen)
        losses.append(jax.nn.logsumexp(logits, axis=-1) - of_target)
    return jnp.stack(losses, axis=-1)


def summed_code_losses(
    levels: list[Level],
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, 'nodes node_dim'] | None],
    states: Float[Array, 'positions dim'],
    items: Int[Array, 'positions'],
    counted: Bool[Array, 'positions'],
    dropout_rate: float,
    key: Key[Array, ''] | None,
    positions_at_once: int,
) -> Float[Array, 'levels']:
    """`code_losses` summed over the positions that count, and computed at few others.

    The positions that count are moved to the front and taken some at a time; those behind the last that
    counts are left out.

    Args:
      levels: see `code_losses`.
      catalogue: see `code_losses`.
      node_vectors: see `code_losses`.
      states: see `code_losses`.
      items: see `code_losses`.
      counted: which positions enter the sum.
      dropout_rate: see `code_losses`.
      key: see `code_losses`.
      positions_at_once: in one chunk.
    """
    size = min(positions_at_once, len(states))
    order = jnp.argsort(jnp.logical_not(counted), stable=True)
    order = jnp.pad(order, (0, -len(order) % size), constant_values=len(order))
    chunks = order.reshape(-1, size)
    total = jnp.sum(counted)

    def losses_of(rows: Int[Array, 'size'], chunk: Int[Array, '']) -> Float[Array, 'levels']:
        drawn = None if key is None else jax.random.fold_in(key, chunk)
        states_of = states.at[rows].get(mode='fill', fill_value=0)
        items_of = items.at[rows].get(mode='fill', fill_value=0)
        losses = code_losses(levels, catalogue, node_vectors, states_of, items_of, dropout_rate, drawn)
        real = chunk * size + jnp.arange(size) < total
        return jnp.sum(jnp.where(real[:, None], losses, 0.0), axis=0)

    def add(sums: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        rows, number = chunk
        nothing = jnp.zeros_like(sums)
        more = jax.lax.cond(number * size < total, losses_of, lambda *_: nothing, rows, number)
        return sums + more, None

    start = jnp.zeros(len(levels), states.dtype)
    if len(chunks) == 1:
        return losses_of(chunks[0], jnp.zeros((), jnp.int32))
    return jax.lax.scan(add, start, (chunks, jnp.arange(len(chunks))))[0]
