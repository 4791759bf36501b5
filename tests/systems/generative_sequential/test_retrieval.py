"""The search of codes finds what scoring every item finds, and nothing that was seen."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender
from llmrec_jax.systems.generative_sequential.retrieval import CodeBeamRecommender
from llmrec_jax.training.mesh import MeshShape, logical_rules
from tests.models.generative_sequential.small import LENGTH, TABLE, drawn_params, small_model

N, USERS = TABLE.n_items, 11


@pytest.fixture(scope='module')
def cases():
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 9, USERS)
    values = rng.integers(0, N, lengths.sum())
    histories = Sequences(values, np.concatenate([[0], np.cumsum(lengths)]))
    return RankingCases(np.arange(USERS), histories, rng.integers(0, N, USERS))


@pytest.fixture(scope='module', params=[False, True], ids=['codes', 'codes and items'])
def recommenders(request):
    model = small_model(request.param)
    shared = {
        'model': model,
        'params': drawn_params(model),
        'mesh': MeshShape().build(),
        'rules': logical_rules('standard'),
        'max_items': LENGTH,
        'batch_size': 8,
        'length_buckets': (2, 4),
    }
    return CodeBeamRecommender(**shared, beam_size=N), CatalogueRecommender(**shared)


@pytest.mark.parametrize('seen_items', ['kept', 'removed'])
def test_a_wide_beam_lists_what_scoring_every_item_lists(recommenders, cases, seen_items):
    beam, exhaustive = (one.recommend(cases, 10, seen_items=seen_items) for one in recommenders)
    np.testing.assert_array_equal(beam.items, exhaustive.items)
    np.testing.assert_allclose(beam.scores, exhaustive.scores, rtol=1e-4)
    listed = np.where(exhaustive.target_rank <= 10, exhaustive.target_rank, 0)
    np.testing.assert_array_equal(beam.target_rank, listed)
    assert listed.any()
    seen = [set(cases.histories[row].tolist()) & set(beam.items[row].tolist()) for row in range(USERS)]
    assert any(seen) is (seen_items == 'kept')


def test_no_slot_is_without_an_item(recommenders, cases):
    for _, beams in recommenders[0].beams(cases, seen_items='kept'):
        assert np.asarray(beams.valid).all()
        assert all(len(set(row)) == N for row in np.asarray(beams.items).tolist())


def test_a_beam_too_narrow_is_refused(recommenders, cases):
    with pytest.raises(ValueError, match=f'a beam of {N} cannot rank {N + 1} items'):
        recommenders[0].recommend(cases, N + 1, seen_items='kept')
