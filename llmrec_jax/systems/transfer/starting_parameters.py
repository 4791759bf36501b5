"""Parameters that training in a domain starts from: what was learned elsewhere, in this domain's tables."""

from collections.abc import Mapping
from typing import Any

import flax.core
import jax
import numpy as np
from jaxtyping import Float

from llmrec_jax.models.transfer.adaptors import MixtureAdaptor, UniversalEmbedding, whitening_of
from llmrec_jax.models.transfer.code_items import EMBEDDING, RENAMING, nearest_permutation
from llmrec_jax.models.transfer.frozen_tables import TABLES, filled_table
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.training.train_state import TrainableModel

ITEMS, SEQUENCES, ADAPTOR = 'item_encoder', 'sequence_encoder', 'adaptor'
Params = Mapping[str, Any]


def drawn(model: TrainableModel, tables: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Parameters drawn by a seed, with the tables of a catalogue filled.

    Args:
      model: of that catalogue.
      tables: name to rows, of `models.transfer.frozen_tables.TABLES`.
      seed: of the draw.

    Raises:
      ValueError: when a table of the model is not given, or is none of the model's.
    """
    variables = jax.jit(lambda: model.get_initial_variables(jax.random.key(seed), {})['params'])()
    params = jax.tree.map(np.asarray, flax.core.unfreeze(variables))
    wanted = {name for name in TABLES if name in params[ITEMS]}
    if wanted != set(tables):
        raise ValueError(f'the items have the tables {sorted(wanted)}, but {sorted(tables)} are given')
    params[ITEMS] |= {name: filled_table(rows) for name, rows in tables.items()}
    return params


def whitened(params: Params, model: Any, vectors: Float[np.ndarray, 'items dim']) -> dict[str, Any]:
    """The parameters with an adaptor that starts as the whitening of the vectors by their principal axes.

    Experts of a mixture start as one whitening each plus what was drawn for them, by which they differ.

    Raises:
      ValueError: when the model has no adaptor that whitens, or the vectors vary in too few directions.
    """
    encoder = model.item_encoder
    if not isinstance(encoder, TextItemEncoder) or isinstance(encoder.adaptor, UniversalEmbedding):
        raise ValueError('only ParametricWhitening and MixtureAdaptor of a text start as a whitening')
    kernel, shift = whitening_of(vectors, encoder.dim)
    held = params[ITEMS][ADAPTOR]
    if isinstance(encoder.adaptor, MixtureAdaptor):
        adaptor = {**held, 'kernel': held['kernel'] + kernel[None], 'shift': held['shift'] + shift[None]}
    else:
        adaptor = {**held, 'kernel': kernel, 'shift': shift}
    return {**params, ITEMS: {**params[ITEMS], ADAPTOR: adaptor}}


def transferred(params: Params, learned: Params) -> dict[str, Any]:
    """The parameters with all that another domain taught and that does not belong to its items or users.

    That is the sequence encoder, the adaptor of texts and the embeddings of codes. Offsets of items and
    users stay behind, and so do the tables.

    Args:
      params: of a model of this domain.
      learned: of the model that was trained elsewhere; where it learned how to rename codes, the embeddings
        come renamed.

    Raises:
      ValueError: when what is taken over has another shape there; the message names the first such
        parameter.
    """
    items = dict(params[ITEMS])
    if ADAPTOR in items:
        items[ADAPTOR] = _same(ADAPTOR, items[ADAPTOR], learned[ITEMS].get(ADAPTOR))
    if EMBEDDING in items:
        items[EMBEDDING] = _same(EMBEDDING, items[EMBEDDING], renamed(learned[ITEMS]))
    sequences = _same(SEQUENCES, params[SEQUENCES], learned.get(SEQUENCES))
    return {**params, ITEMS: items, SEQUENCES: sequences}


def renamed(items: Params) -> np.ndarray | None:
    """The embeddings of codes under the names that were learned for them; None of items without codes."""
    if RENAMING not in items:
        return items.get(EMBEDDING)
    permutation = nearest_permutation(np.asarray(items[RENAMING]))
    return np.take_along_axis(np.asarray(items[EMBEDDING]), permutation[..., None], axis=1)


def _same(name: str, here: Any, learned: Any) -> Any:
    """What was learned, if it has the shapes that are needed here."""
    ours, theirs = _shapes(name, here), _shapes(name, learned)
    for path in sorted(ours.keys() | theirs.keys()):
        if ours.get(path) != theirs.get(path):
            raise ValueError(
                f'{path} has shape {ours.get(path, "(absent)")} in the model of the target and '
                f'{theirs.get(path, "(absent)")} in that of pre-training: give both the same encoders'
            )
    return jax.tree.map(np.asarray, learned)


def _shapes(name: str, tree: Any) -> dict[str, tuple[int, ...]]:
    if tree is None:
        return {}
    return {
        '/'.join([name, *(str(key.key) for key in path)]): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
