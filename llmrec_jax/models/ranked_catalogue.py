"""From scores of the whole catalogue to T5X's predictions, and the switch over items that were seen."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

NO_ITEM = -1
# Field of an example: the items before its target as tokens (row + 1), padded with 0 to a width of its task.
SEEN = 'seen'
KEPT, REMOVED = 'kept', 'removed'
SEEN_ITEMS = (KEPT, REMOVED)


def check_seen_items(model: str, seen_items: str) -> None:
    """Checks the position of a model's switch.

    Raises:
      ValueError: when there is no such position.
    """
    if seen_items not in SEEN_ITEMS:
        raise ValueError(f'{model}.seen_items is {seen_items!r}; it must be one of {SEEN_ITEMS}')


def seen_tokens(batch: Mapping[str, Any], seen_items: str) -> Int[Array, 'batch seen'] | None:
    """What each user is not to be shown again; None where seen items are kept.

    Raises:
      ValueError: when seen items are to be removed and the batch does not say which they are.
    """
    if seen_items == KEPT:
        return None
    if SEEN not in batch:
        raise ValueError(
            f'seen_items={REMOVED!r} needs {SEEN!r} in the batch: ask about a task whose examples carry it '
            f'(validation and test of the leave-last-out tasks do), or set seen_items={KEPT!r}'
        )
    return jnp.asarray(batch[SEEN])


def best_items(
    scores: Float[Array, 'batch rows'],
    list_length: int,
    seen: Int[Array, 'batch seen'] | None = None,
) -> tuple[Int[Array, 'batch list'], dict[str, Array]]:
    """The best items of each row, *best last*, as T5X orders its decodes.

    Args:
      scores: of every item; -inf in columns that are no items.
      list_length: items of each list.
      seen: tokens that are left out; 0 leaves out nothing.

    Returns:
      Tokens (row + 1; 0 where fewer items are left), and beside them 'items' (rows; -1 where none), 'scores'
      and 'valid'. Where a score is not a number, so are those of the row's list.
    """
    rows = scores.shape[1]
    broken = jnp.isnan(scores).any(axis=1, keepdims=True)
    if seen is not None:
        # Padding goes past the last column, where it is dropped.
        columns = jnp.where(seen == 0, rows, seen - 1)
        scores = scores.at[jnp.arange(len(scores))[:, None], columns].set(-jnp.inf, mode='drop')
    best, items = jax.lax.top_k(scores, min(list_length, rows))
    missing = ((0, 0), (0, list_length - best.shape[1]))
    best = jnp.pad(best, missing, constant_values=-jnp.inf)
    valid: Bool[Array, 'batch list'] = (best > -jnp.inf) & ~broken
    items = jnp.where(valid, jnp.pad(items, missing), NO_ITEM)
    fields = {'items': items, 'scores': jnp.where(broken, jnp.nan, best), 'valid': valid}
    fields = {name: jnp.flip(field, axis=1) for name, field in fields.items()}
    return fields['items'] + 1, fields


def target_log_probs(
    scores: Float[Array, 'batch rows'], targets: Int[Array, 'batch']
) -> Float[Array, 'batch']:
    """Log-probability of each target token under the softmax over the catalogue, in nats; 0 for padding."""
    of_target = jnp.take_along_axis(scores, jnp.maximum(targets - 1, 0)[:, None], axis=1)[:, 0]
    log_probs = of_target - jax.nn.logsumexp(scores, axis=1)
    return jnp.where(targets != 0, log_probs, 0.0)
