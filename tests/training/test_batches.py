import itertools
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore, write_columns
from tests.training.small_model import examples

LENGTHS = {'inputs': 12, 'targets': 2}


@pytest.fixture(scope='module')
def columns(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp('columns') / 'store', examples(50), {})


def same(left, right):
    return all(
        one.length == other.length
        and (one.rows == other.rows).all()
        and all((one.features[name] == other.features[name]).all() for name in one.features)
        for one, other in zip(left, right, strict=True)
    )


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=6), seed=st.integers(0, 3))
def test_a_batch_depends_on_seed_and_step_alone(columns, steps, seed):
    def make():
        return Batches(columns, 8, LENGTHS, 2, (4, 8), seed=seed)

    asked_in_this_order = make()
    seen = {step: asked_in_this_order.batch(step) for step in steps}
    assert all(same(seen[step], make().batch(step)) for step in steps)


@settings(max_examples=20, deadline=None)
@given(batch_size=st.integers(1, 60), epochs=st.integers(1, 3))
def test_every_epoch_has_every_example_once(columns, batch_size, epochs):
    batches = Batches(columns, batch_size, LENGTHS)
    steps = -(-epochs * len(columns) // batch_size)
    stream = np.concatenate([batches.rows(step) for step in range(steps)])[: epochs * len(columns)]
    assert (np.sort(stream.reshape(epochs, -1), axis=1) == np.arange(len(columns))).all()


def test_epochs_and_seeds_differ_in_order(columns):
    first, second = (Batches(columns, 50, LENGTHS).rows(step) for step in (0, 1))
    other = Batches(columns, 50, LENGTHS, seed=1).rows(0)
    assert (first != second).any() and (first != other).any()


@settings(max_examples=30, deadline=None)
@given(
    step=st.integers(0, 20), microbatches=st.sampled_from([1, 2, 4, 8]), buckets=st.sets(st.integers(1, 12))
)
def test_microbatches_are_the_batch_sorted_and_padded_to_the_smallest_bucket(
    columns, step, microbatches, buckets
):
    batches = Batches(columns, 16, LENGTHS, microbatches, tuple(buckets))
    parts = batches.batch(step)
    assert [len(part.rows) for part in parts] == [16 // microbatches] * microbatches
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows) == sorted(batches.rows(step))
    assert (np.diff(columns.lengths('inputs')[rows]) >= 0).all()
    for part in parts:
        longest = columns.lengths('inputs')[part.rows].max()
        assert part.length == min(bucket for bucket in {*buckets, 12} if bucket >= longest)
        assert part.shape in batches.shapes
        full = columns.batch(part.rows, LENGTHS)
        assert (full['inputs'][:, : part.length] == part.features['inputs']).all()
        assert (full['inputs'][:, part.length :] == 0).all()
        assert (full['targets'] == part.features['targets']).all()


def test_a_batch_cut_at_random_is_the_same_batch_and_has_like_lengths_in_every_part(columns):
    cuts = {
        by_length: Batches(columns, 40, LENGTHS, 4, (4, 8), by_length=by_length)
        for by_length in (False, True)
    }
    lengths = {False: [], True: []}
    for step in range(60):
        parts = {by_length: batches.batch(step) for by_length, batches in cuts.items()}
        rows = [sorted(row for part in cut for row in part.rows) for cut in parts.values()]
        assert rows[0] == rows[1]
        for by_length, cut in parts.items():
            lengths[by_length].append([columns.lengths('inputs')[part.rows].mean() for part in cut])
    means = {by_length: np.mean(found, axis=0) for by_length, found in lengths.items()}
    # 600 lengths from 1 to 12 in a part: four standard errors of their mean are 0.6.
    assert np.ptp(means[False]) < 1.2
    assert (np.diff(means[True]) > 1.5).all()


@pytest.mark.parametrize('hosts', [1, 2, 4])
@pytest.mark.parametrize('by_length', [True, False])
def test_hosts_together_read_the_batch_and_each_its_own_rows(columns, hosts, by_length):
    batches = Batches(columns, 16, LENGTHS, 2, (4, 8), seed=3, by_length=by_length)
    size = batches.microbatch_size // hosts
    shares = [batches.batch(5, slice(host * size, (host + 1) * size)) for host in range(hosts)]
    for place, whole in enumerate(batches.batch(5)):
        parts = [share[place] for share in shares]
        assert [len(part.rows) for part in parts] == [size] * hosts
        assert {part.length for part in parts} == {whole.length}
        for name, feature in whole.features.items():
            assert (np.concatenate([part.features[name] for part in parts]) == feature).all()


def test_billions_of_examples_are_shuffled_without_a_table():
    summary = {'inputs': {'longest': 1, 'longest_row': 0}}
    many = ColumnStore(pathlib.Path('many'), {'rows': 2**33, 'features': summary}, ())
    rows = np.concatenate([Batches(many, 512, {'inputs': 1}).rows(step) for step in (0, 10**6)])
    assert len(set(rows.tolist())) == 1024 and rows.max() < 2**33
    assert np.quantile(rows, [0.25, 0.5, 0.75]) / 2**33 == pytest.approx([0.25, 0.5, 0.75], abs=0.06)


def test_short_targets_stand_apart_from_long_ones_and_get_no_padding_of_theirs(tmp_path):
    rng = np.random.default_rng(0)
    lengths = {'inputs': rng.integers(1, 13, 64), 'targets': rng.choice([1, 2, 7], 64)}
    rows = {name: [[1] * length for length in chosen.tolist()] for name, chosen in lengths.items()}
    store = write_columns(tmp_path / 'store', rows, {})
    batches = Batches(store, 32, {'inputs': 12, 'targets': 8}, 8, (4, 8), other_buckets=(2,))
    assert batches.shapes == tuple(itertools.product((4, 8, 12), (2, 8)))
    parts = batches.batch(0)
    whole = np.concatenate([part.rows for part in parts])
    assert sorted(whole) == sorted(batches.rows(0))
    bucket = np.where(lengths['targets'][whole] <= 2, 2, 8)
    assert (np.diff(bucket) >= 0).all() and set(bucket) == {2, 8}
    for part in parts:
        widths = tuple(part.features[name].shape[1] for name in ('inputs', 'targets'))
        assert widths == part.shape and part.shape in batches.shapes
        assert part.shape[1] == (2 if lengths['targets'][part.rows].max() <= 2 else 8)
        for name, feature in part.features.items():
            assert (feature.sum(axis=1) == lengths[name][part.rows]).all()


def test_only_lengths_that_occur_are_compiled_for(tmp_path):
    store = write_columns(tmp_path / 'store', {'inputs': [[1], [1, 2]], 'targets': [[1], [2]]}, {})
    assert Batches(store, 2, {'inputs': 9, 'targets': 1}, 1, (2, 4)).shapes == ((2, 1),)
    assert Batches(store, 2, {'inputs': 9, 'targets': 1}, 1, (1, 4)).shapes == ((1, 1), (4, 1))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'microbatches': 3}, 'batch_size=16 cannot be cut into microbatches=3'),
        ({'batch_size': 0}, 'batch_size=0'),
        ({'length_buckets': (4, 13)}, r'length_buckets=\(4, 13\) must lie between 1 and the 12'),
        ({'bucketed_feature': 'history'}, "bucketed_feature='history' is no feature"),
        ({'feature_lengths': {'inputs': 5, 'targets': 2}}, "row .* of feature 'inputs' has .* tokens, more"),
    ],
)
def test_sizes_that_do_not_fit_are_errors(columns, settings, message):
    with pytest.raises(ValueError, match=message):
        Batches(**{'columns': columns, 'batch_size': 16, 'feature_lengths': LENGTHS, **settings})
