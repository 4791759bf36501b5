"""A target domain that calls the codes of the sources by other names (VQ-Rec, section 3.4)."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.frozen_tables import filled_table
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining, Contrasts
from llmrec_jax.systems.transfer.starting_parameters import renamed
from llmrec_jax.training.optimizers import AdamW, PartlyFrozen
from llmrec_jax.training.schedules import Constant
from tests.models.transfer.planted_domains import LAW, TOPICS, planted_domain
from tests.models.transfer.trained import (
    fit,
    follows_the_law,
    recommender,
    sequence_encoder,
    start,
    tokens,
)

ITEMS = CodeItemEncoder(16, digits=2, codewords=TOPICS)
SOURCE, TARGET = (planted_domain(seed, users=300) for seed in (1, 2))
RENAMER = PartlyFrozen(
    AdamW(Constant(0.1), clip_norm=None), ('sequence_encoder', 'item_encoder/embedding', 'item_encoder/codes')
).build()


def codes(domain, names=None):
    """One digit tells an item's topic and the other nothing; names are by digit."""
    told = np.stack([domain.topic, np.arange(len(domain.topic)) // TOPICS], axis=1)
    return told if names is None else np.stack([names[digit][told[:, digit]] for digit in range(2)], axis=1)


@pytest.mark.slow
def test_learning_the_new_names_of_codes_brings_what_was_learned_back():
    facts = CatalogueFacts(len(SOURCE.topic))
    pretraining = ContrastivePretraining(
        ITEMS, sequence_encoder(), Contrasts(sequence_weight=0.0, replaced_codes=0.75)
    ).for_catalogue(facts)
    learned = fit(pretraining, {'items': tokens(SOURCE)}, start(pretraining, codes=codes(SOURCE)))

    def reached(target_codes, embedding):
        table = jnp.asarray(filled_table(target_codes))
        params = {**learned, 'item_encoder': {'codes': table, 'embedding': embedding}}
        return follows_the_law(recommender(ITEMS).for_catalogue(facts), params, TARGET, LAW)

    embedding = learned['item_encoder']['embedding']
    assert reached(codes(TARGET), embedding) > 0.95
    names = np.stack([np.random.default_rng(seed).permutation(TOPICS) for seed in (5, 6)])
    assert reached(codes(TARGET, names), embedding) < 0.4

    renaming = recommender(dataclasses.replace(ITEMS, renaming=True)).for_catalogue(facts)
    params = start(renaming, codes=codes(TARGET, names))
    params = {**params, **learned, 'item_encoder': {**params['item_encoder'], 'embedding': embedding}}
    found = fit(renaming, {'items': tokens(TARGET)}, params, RENAMER, steps=200, rows=64)
    assert reached(codes(TARGET, names), jnp.asarray(renamed(found['item_encoder']))) > 0.95
