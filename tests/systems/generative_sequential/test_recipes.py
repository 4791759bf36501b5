"""What the recipes configure, codes that fit the catalogue, and what does not fit."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits
from llmrec_jax.planning.workload import DecodingSizes
from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.co_occurrence import CoOccurrence
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.systems.generative_sequential.item_stages import (
    CO_OCCURRENCE_VECTORS,
    EmbedCoOccurrence,
    LearnItemCodes,
)
from tests import recipes

SMOKE = 'gin_configs/generative_sequential/smoke.gin'


@pytest.fixture(scope='module')
def system():
    return recipes.load(SMOKE)


def test_it_trains_on_packed_rows_and_is_judged_by_its_search(system):
    train = next(stage for stage in system.stages() if stage.name == 'train')
    assert train.trainer.feature_lengths == {'items': 10, 'targets': 10}
    assert train.validation.retrieval == system.served
    assert system.served.beam_size == 20


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'beam_size': 9}, 'beam_size=9 is below'),
        ({'trainer': None}, 'feature_lengths'),
    ],
)
def test_what_does_not_fit_is_told(system, changes, message):
    if 'trainer' in changes:
        changes = {'trainer': dataclasses.replace(system.trainer, feature_lengths={'items': 9})}
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(system, **changes)


def test_heads_are_as_wide_as_items(system):
    network = dataclasses.replace(system.network, heads=system.network.heads.clone(dim=8))
    with pytest.raises(ValueError, match='dim=8 must be the width of the items, 16'):
        dataclasses.replace(system, network=network)


def test_codebooks_are_smaller_where_the_catalogue_is(system):
    stage = next(stage for stage in system.stages() if isinstance(stage, LearnItemCodes))
    assert stage.fitting_quantizer(1000).codebook_sizes == (16, 16, 16)
    assert stage.fitting_quantizer(40).codebook_sizes == (10, 10, 10)
    assert stage.fitting_quantizer(2).codebook_sizes == (1, 1, 1)


def test_codes_know_training_events_alone(tmp_path):
    train = Sequences(np.array([0, 1, 2, 1, 0, 3]), np.array([0, 3, 6]))
    found = []
    for number, held_out in enumerate(([3, 3], [2, 1])):
        cases = RankingCases(np.arange(2), train, np.array(held_out))
        run = Run(tmp_path / str(number))
        run.put(SPLITS, Splits(train, cases, cases))
        run.put(CATALOGUE, ShownItems(['x'] * 4, ['x'] * 4, [('x',)] * 4))
        EmbedCoOccurrence(CoOccurrence(dim=2)).run(run)
        found.append(run[CO_OCCURRENCE_VECTORS])
    np.testing.assert_array_equal(*found)
    assert found[0].any()


def test_the_search_is_planned(system):
    parts = {name: getattr(system, name) for name in type(system).PLANNED}
    workload = type(system).workload(parts, DecodingSizes(items=300, users=8))
    assert workload.model.n_items == 300 and workload.decoding.users == 8
    assert 'the search of 300 items, beam 20' in workload.decoding.title(workload.model, workload.trainer)
