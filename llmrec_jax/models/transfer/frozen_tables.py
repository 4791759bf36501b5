"""Tables that describe a catalogue and are never trained: text vectors, codes.

They are parameters, so that their rows can lie over the mesh's model axis as an item table's do and a
checkpoint holds them. What they hold is not drawn: it comes with the checkpoint that training starts from
(`systems.transfer.starting_parameters`), and `training.optimizers.PartlyFrozen` keeps it as it is. A network
whose tables were not filled gives NaN, at which training stops.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.sequential.item_encoder import ROWS_MULTIPLE

# The names of all tables, at the top of an item encoder.
TEXT, DROPPED_TEXT, CODES = 'text', 'dropped_text', 'codes'
TABLES = (TEXT, DROPPED_TEXT, CODES)


def table_rows(n_items: int) -> int:
    """Rows of a table of `n_items`."""
    return -(-n_items // ROWS_MULTIPLE) * ROWS_MULTIPLE


def declare_table(name: str, n_items: int, width: int) -> Float[Array, 'rows width']:
    """Declares a table on the item encoder whose `setup` this is called from.

    Raises:
      ValueError: when the catalogue is not known yet.
    """
    if n_items < 1 or width < 1:
        raise ValueError('the catalogue is not known: call for_catalogue before the module is used')
    table = partitioning.param_with_axes(
        name, _not_filled, (table_rows(n_items), width), jnp.float32, axes=('vocab', 'kv')
    )
    return jax.lax.stop_gradient(table)


def filled_table(rows: np.ndarray) -> Float[np.ndarray, 'rows width']:
    """What a checkpoint holds of a table: the items' rows, and zeros past the catalogue."""
    return np.pad(np.asarray(rows, np.float32), ((0, table_rows(len(rows)) - len(rows)), (0, 0)))


def rows_of(table: Float[Array, 'rows width'], tokens: Int[Array, '*shape']) -> Float[Array, '*shape width']:
    """Rows of tokens; that of the first item for padding, which the caller hides."""
    return table.at[jnp.maximum(tokens - 1, 0)].get(mode='clip')


def _not_filled(key: object, shape: Sequence[int], dtype: object) -> Array:
    del key
    return jnp.full(shape, jnp.nan, dtype)
