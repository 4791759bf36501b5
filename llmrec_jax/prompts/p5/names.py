"""The fields that name who and what, which every family has."""

from collections.abc import Mapping

from llmrec_jax.prompts.array_ops import Array, ArrayOps

USER_FIELDS = frozenset({'user', 'user_name'})
ITEM_FIELDS = frozenset({'item', 'title', 'brand', 'price'})


def user_texts(ops: ArrayOps, tables: Mapping[str, Array], user: Array) -> dict[str, Array]:
    """`USER_FIELDS` of the user at a row."""
    return {field: ops.take(tables[field], user) for field in USER_FIELDS}


def item_texts(ops: ArrayOps, tables: Mapping[str, Array], item: Array) -> dict[str, Array]:
    """`ITEM_FIELDS` of the item at a row."""
    return {field: ops.take(tables[field], item) for field in ITEM_FIELDS}
