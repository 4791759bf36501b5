import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.draws import Draws, outputs
from llmrec_jax.prompts.tf_prompts import TENSORFLOW


def _draws(ops=NUMPY, *, seed=0, epoch=0, record=0, repetition=0) -> Draws:
    return Draws.of(ops, group='group', seed=seed, epoch=epoch, record=record, repetition=repetition)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match='the seed of prompts is -1'):
        _draws(seed=-1)


def test_the_generator_is_splitmix64():
    # The first outputs of the reference implementation from the seed 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert outputs(NUMPY, NUMPY.bits(1234567), np.arange(4)).tolist() == expected


@hypothesis.given(
    numbers=st.tuples(*[st.integers(0, 2**62)] * 4),
    stream=st.text(max_size=5),
    bound=st.integers(1, 2**32 - 1),
)
@hypothesis.settings(max_examples=15)
def test_tensorflow_draws_what_numpy_draws(numbers, stream, bound):
    keys = dict(zip(('seed', 'epoch', 'record', 'repetition'), numbers))
    plain = _draws(**keys)
    in_tf = _draws(TENSORFLOW, **{name: tf.constant(number, tf.int64) for name, number in keys.items()})
    assert plain.bits(stream, 5).tolist() == in_tf.bits(stream, 5).numpy().tolist()
    assert plain.integers(stream, bound, 5).tolist() == in_tf.integers(stream, bound, 5).numpy().tolist()


@hypothesis.given(data=st.data(), bound=st.integers(1, 300), seed=st.integers(0, 2**40))
@hypothesis.settings(max_examples=20)
def test_a_sample_is_distinct_and_outside_and_the_same_in_tensorflow(data, bound, seed):
    excluded = np.unique(np.asarray(data.draw(st.lists(st.integers(0, bound - 1))), np.int64))
    count = data.draw(st.integers(0, bound - len(excluded)))
    sample = _draws(seed=seed).sample_outside('s', bound, excluded, count).tolist()
    assert len(sample) == len(set(sample)) == count
    assert set(sample) <= set(range(bound)) - set(excluded.tolist())
    in_tf = _draws(TENSORFLOW, seed=seed).sample_outside('s', bound, tf.constant(excluded), count)
    assert in_tf.numpy().tolist() == sample


def test_a_sample_that_the_population_does_not_have_is_refused():
    excluded = np.arange(8)
    with pytest.raises(ValueError, match='3 numbers .* which 10 in all do not leave'):
        _draws().sample_outside('s', 10, excluded, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match='3 numbers'):
        _draws(TENSORFLOW).sample_outside('s', 10, tf.constant(excluded), 3)


def test_every_number_is_as_likely_at_every_place_of_a_sample():
    bound, excluded = 9, np.asarray([0, 3])
    samples = np.stack(
        [_draws(record=record).sample_outside('s', bound, excluded, bound - 2) for record in range(500)]
    )
    for place in range(bound - 2):
        counts = np.bincount(samples[:, place], minlength=bound)
        assert stats.chisquare(np.delete(counts, excluded)).pvalue > 1e-5
    # The second among the numbers that the first has left.
    first, second = np.searchsorted(np.delete(np.arange(bound), excluded), samples[:, :2]).T
    left = bound - 3
    pairs = np.bincount(first * left + second - (second > first), minlength=(left + 1) * left)
    assert stats.chisquare(pairs).pvalue > 1e-5


@pytest.mark.parametrize('part', ['seed', 'epoch', 'record', 'repetition'])
def test_each_of_the_four_numbers_gives_independent_uniform_draws(part):
    drawn = _draws(**{part: np.arange(100_000)}).integers('stream', 13, 1)
    assert stats.chisquare(np.bincount(drawn, minlength=13)).pvalue > 1e-4
    ahead = np.bincount(drawn[:-1] * 13 + drawn[1:], minlength=169)
    assert stats.chisquare(ahead).pvalue > 1e-4


def test_streams_and_groups_are_independent():
    records = np.arange(20_000)
    one = _draws(record=records).integers('one', 4, 1)
    two = _draws(record=records).integers('two', 4, 1)
    other = Draws.of(NUMPY, group='other', seed=0, epoch=0, record=records, repetition=0).integers(
        'one', 4, 1
    )
    for column in (two, other):
        assert stats.chi2_contingency(np.histogram2d(one, column, bins=4)[0]).pvalue > 1e-4
