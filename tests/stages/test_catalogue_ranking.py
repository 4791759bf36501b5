"""A sequential model's ranking of a catalogue, against the one that numpy makes of its scores."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits
from llmrec_jax.evaluation.recommendations import from_dense
from llmrec_jax.evaluation.sampled_protocol import NegativeSampler, SampledProtocol, sampled_ranks
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender, TowerScores
from llmrec_jax.stages.rank import TrainedRecommender
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from tests.drawn_parameters import drawn

N_ITEMS, MAX_ITEMS, USERS = 40, 6, 21
MODEL = SequentialRecommenderModel(
    ItemTable(4, init_stddev=1.0),
    SASRecEncoder(SASRecConfig(max_length=MAX_ITEMS, num_layers=1)),
    FullSoftmax(),
).for_catalogue(CatalogueFacts(N_ITEMS))


@pytest.fixture(scope='module')
def params():
    params = drawn(MODEL, {})
    # Two items that score the same.
    table = params['item_encoder']['embedding']
    return {**params, 'item_encoder': {'embedding': table.at[5].set(table[4])}}


@pytest.fixture(scope='module')
def cases():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 10, USERS)
    values = rng.integers(0, N_ITEMS, lengths.sum())
    target = rng.integers(0, N_ITEMS, USERS)
    target[:4] = 4
    return RankingCases(np.arange(USERS) + 100, Sequences(values, np.cumsum([0, *lengths])), target)


def ranking(params, mesh, **changes):
    settings = {'batch_size': 8, **changes}
    return CatalogueRecommender(MODEL, params, mesh.build(), STANDARD_RULES, MAX_ITEMS, **settings)


@pytest.fixture(scope='module')
def alone(params):
    return ranking(params, MeshShape(data=1), length_buckets=(3,))


def by_numpy(params, cases, seen_items, k):
    items, _ = cases.histories.last(MAX_ITEMS)
    scores = np.array(jax.jit(MODEL.scores)(params, jnp.asarray(padded_left(items + 1))))[:, :N_ITEMS]
    if seen_items == 'removed':
        for row in range(len(cases)):
            scores[row, cases.histories[row]] = -np.inf
    return from_dense(scores.astype(np.float64), cases.target, k)


@pytest.mark.parametrize('seen_items', ['kept', 'removed'])
def test_lists_and_ranks_are_those_of_the_scores(alone, params, cases, seen_items):
    found = alone.recommend(cases, 10, seen_items=seen_items)
    expected = by_numpy(params, cases, seen_items, 10)
    np.testing.assert_array_equal(found.target_rank, expected.target_rank)
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-5)
    ranks = alone.target_ranks(cases, 10, seen_items=seen_items)
    np.testing.assert_array_equal(ranks, expected.target_rank)
    assert isinstance(alone, TrainedRecommender)
    assert alone.for_users(['a', 'b']) is alone


def test_users_over_eight_devices_get_what_one_gives_them(alone, params, cases):
    shared = ranking(params, MeshShape(data=4, model=2))
    one = alone.recommend(cases, 10, seen_items='removed')
    other = shared.recommend(cases, 10, seen_items='removed')
    np.testing.assert_array_equal(one.items, other.items)
    np.testing.assert_array_equal(one.target_rank, other.target_rank)


def test_what_is_left_of_a_small_catalogue_fills_the_list_and_no_more(alone, params):
    everything_but_two = Sequences(np.arange(N_ITEMS - 2), np.array([0, N_ITEMS - 2]))
    case = RankingCases(np.array([7]), everything_but_two, np.array([0]))
    found = alone.recommend(case, 10, seen_items='removed')
    assert sorted(found.items[0, :2].tolist()) == [N_ITEMS - 2, N_ITEMS - 1]
    assert (found.items[0, 2:] == -1).all()
    assert found.target_rank.tolist() == [0]


def test_scores_on_the_host_rank_as_the_devices_do(alone, params, cases):
    nothing_seen = SampledProtocol(negatives=None, excluded='nothing')
    splits = Splits(cases.histories, cases, cases)
    drawer = NegativeSampler(nothing_seen, splits, np.ones(N_ITEMS))
    found = sampled_ranks({'sasrec': TowerScores(alone)}, cases, drawer, cases_at_once=8)['sasrec']
    np.testing.assert_array_equal(found, alone.target_ranks(cases, 10, seen_items='kept'))


def test_bad_input_is_named(alone, params, cases):
    with pytest.raises(ValueError, match='seen_items'):
        alone.target_ranks(cases, 10, seen_items='hidden')
    with pytest.raises(ValueError, match='no cases'):
        alone.target_ranks(cases.select(np.array([], np.int64)), 10, seen_items='kept')
    diverged = jax.tree.map(lambda leaf: jnp.full_like(leaf, np.nan), params)
    with pytest.raises(ValueError, match='user 1[0-9]+ are NaN'):
        alone.with_params(diverged).target_ranks(cases, 10, seen_items='kept')
    with pytest.raises(ValueError, match='6 examples a microbatch cannot be shared among 4 devices'):
        ranking(params, MeshShape(data=4, model=2), batch_size=6)


def test_other_parameters_compile_nothing_again(alone, params, cases):
    traced = []

    class Counting(type(MODEL)):
        def scores(self, params, histories):
            traced.append(histories.shape)
            return super().scores(params, histories)

    counting = Counting(**{field.name: getattr(MODEL, field.name) for field in dataclasses.fields(MODEL)})
    one = dataclasses.replace(alone, model=counting)
    before = one.recommend(cases, 10, seen_items='kept')
    programs = len(traced)
    other = one.with_params(jax.tree.map(lambda leaf: -leaf, params))
    found = other.recommend(cases, 10, seen_items='kept')
    assert len(traced) == programs > 0
    assert not np.array_equal(found.items, before.items)
