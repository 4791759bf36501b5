"""A small generative sequential model over a catalogue of 41 items, with parameters that are all drawn."""

import jax
import numpy as np

from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, CodedCatalogueFacts
from llmrec_jax.models.generative_sequential.coded_items import CodedItems
from llmrec_jax.models.generative_sequential.heads import AutoregressiveHeads
from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.semantic_ids.code_table import CodeTable
from tests.drawn_parameters import drawn

LENGTH, DIM = 6, 8
SIZES = (4, 3, 5, 1)


def code_table() -> CodeTable:
    """Codes of three learned levels and a collision level at which all items are alike."""
    rng = np.random.default_rng(0)
    codes = np.unique(np.stack([rng.integers(0, size, 60) for size in SIZES], axis=1), axis=0)
    return CodeTable(rng.permutation(codes).astype(np.int32), SIZES)


TABLE = code_table()
FACTS = CodedCatalogueFacts(TABLE.n_items, np.ones(TABLE.n_items), coded=CodedCatalogue.of(TABLE))


def small_model(item_vectors: bool = True, item_loss_weight: float = 0.0) -> GenerativeSequentialModel:
    """A model without dropout, of one block."""
    config = SASRecConfig(max_length=LENGTH, num_layers=1, dropout_rate=0.0, block_order='pre_norm')
    model = GenerativeSequentialModel(
        item_encoder=CodedItems(DIM),
        sequence_encoder=SASRecEncoder(config),
        loss=FullSoftmax(),
        heads=AutoregressiveHeads(DIM, hidden_dim=6, out_dim=5, item_vectors=item_vectors),
        item_loss_weight=item_loss_weight,
    )
    return model.for_catalogue(FACTS)


def drawn_params(model: GenerativeSequentialModel) -> dict:
    """Parameters away from where they start, so that no part of the network is without effect."""
    params = drawn(model, {})
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.5, leaf.shape).astype(np.float32), params)
