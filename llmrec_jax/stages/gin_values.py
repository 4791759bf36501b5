"""Values that gin files need and cannot write, because gin neither joins strings nor reads attributes."""

import os

from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.transfer.hierarchical import USER
from llmrec_jax.semantic_ids.token_layout import TokenLayout


def under(parent: str, name: str) -> str:
    """`parent/name`; `DATA_DIR = @data/gin_values.under()` with `data/gin_values.under.name = 'data'`."""
    return os.path.join(parent, name)


def absolutely_under(parent: str, name: str) -> str:
    """`under`, from the root of the file system: T5X's checkpoints take no other path."""
    return absolute(under(parent, name))


def absolute(path: str) -> str:
    """A path from the root of the file system; one of a bucket, `gs://...`, as it is."""
    return path if '://' in path else os.path.abspath(path)


def is_given(value: object) -> bool:
    """Whether a value is anything but None."""
    return value is not None


def vocab_size(layout: TokenLayout) -> int:
    """Rows of the embedding that holds every token of `layout`."""
    return layout.vocab_size


def sequence_lengths(max_items: int) -> dict[str, int]:
    """Feature lengths of whole sequences: `max_items` of a history, and the item after them."""
    return {ITEMS: max_items + 1}


def user_sequence_lengths(max_items: int) -> dict[str, int]:
    """Feature lengths of whole sequences, and of whose they are."""
    return {**sequence_lengths(max_items), USER: 1}
