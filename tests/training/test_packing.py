import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.packing import companions, pack
from tests.drawn_parameters import drawn

LENGTHS = {'inputs': 10, 'targets': 6}
FEATURES = [name for feature in LENGTHS for name in (feature, *companions(feature))]
VOCABULARY = 30
MODEL = EncoderDecoderModel(Transformer(T5Config(VOCABULARY, 8, 2, 4, 16, 1, 1, dropout_rate=0.0)))


def tokens(longest):
    return st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=longest).map(np.array)


EXAMPLES = st.lists(
    st.fixed_dictionaries({name: tokens(length) for name, length in LENGTHS.items()}), min_size=1, max_size=25
)


def unpacked(rows):
    """The examples that are in the rows, as tuples of tuples."""
    for row in rows:
        for segment in range(1, row['inputs_segment_ids'].max() + 1):
            yield tuple(tuple(row[name][row[companions(name)[0]] == segment].tolist()) for name in LENGTHS)


def padded(rows, lengths):
    """Rows of each feature, stacked, with zeros on the right."""
    return {
        name: np.stack([np.pad(row[name], (0, length - len(row[name]))) for row in rows]).astype(np.int32)
        for name, length in lengths.items()
    }


@given(examples=EXAMPLES, window=st.integers(1, 4))
def test_nothing_is_lost_repeated_or_cut_and_every_row_has_room(examples, window):
    rows = list(pack(examples, LENGTHS, window))
    whole = [tuple(tuple(example[name].tolist()) for name in LENGTHS) for example in examples]
    assert sorted(unpacked(rows)) == sorted(whole)
    for row, (name, length) in itertools.product(rows, LENGTHS.items()):
        segment_ids, positions = (row[companion] for companion in companions(name))
        assert len(row[name]) == len(segment_ids) == len(positions) <= length
        assert segment_ids[0] == 1 and set(np.diff(segment_ids)) <= {0, 1}
        starts = np.flatnonzero(np.diff(segment_ids, prepend=0))
        assert (
            positions == np.arange(len(positions)) - np.repeat(starts, np.bincount(segment_ids)[1:])
        ).all()


@given(examples=EXAMPLES)
def test_every_example_went_to_the_first_row_with_room(examples):
    rows = list(pack(examples, LENGTHS, window=len(examples)))
    expected = []
    for example in examples:
        need = np.array([len(example[name]) for name in LENGTHS])
        room = [np.array([*LENGTHS.values()]) - np.sum(row, axis=0) for row in expected]
        first = next((index for index, left in enumerate(room) if (left >= need).all()), None)
        if first is None:
            expected.append([need])
        else:
            expected[first].append(need)
    found = [[[len(part) for part in example] for example in unpacked([row])] for row in rows]
    assert sorted(found) == sorted(np.array(row).tolist() for row in expected)


@pytest.mark.parametrize(
    ('examples', 'window', 'message'),
    [
        (
            [{'inputs': np.ones(2, int), 'targets': np.ones(7, int)}],
            4,
            "example 0 has 7 tokens of 'targets', more than",
        ),
        ([{'inputs': np.ones(2, int), 'targets': np.ones(0, int)}], 4, "example 0 has no 'targets'"),
        ([], 0, 'window=0'),
    ],
)
def test_what_cannot_be_packed_is_named(examples, window, message):
    with pytest.raises(ValueError, match=message):
        list(pack(examples, LENGTHS, window))


@given(examples=EXAMPLES)
@settings(max_examples=15)
def test_features_of_packed_rows_are_those_of_seqio(examples):
    seqio = pytest.importorskip('seqio')
    import tensorflow as tf

    widths = {name: LENGTHS[name.split('_')[0]] for name in FEATURES}
    task_batch = padded(list(pack(examples, LENGTHS)), widths)
    converter = seqio.EncDecFeatureConverter(pack=True)
    row = next(iter(tf.data.Dataset.from_tensor_slices(task_batch).map(converter._convert_example)))
    converted = MODEL.convert_features(task_batch)
    assert converted.keys() == row.keys()
    for name, feature in row.items():
        assert (converted[name][0] == feature.numpy()).all(), name


@pytest.fixture(scope='module')
def params():
    shapes = {'encoder_input_tokens': (1, 10), 'decoder_input_tokens': (1, 6)}
    # The relative bias is not near 0, so that a wrong distance between tokens shows.
    return drawn(MODEL, shapes)


@pytest.fixture(scope='module')
def loss_sums():
    return jax.jit(MODEL.loss_sums)


@given(examples=EXAMPLES)
@settings(max_examples=15)
def test_a_packed_batch_loses_what_its_examples_lose(params, loss_sums, examples):
    widths = {name: LENGTHS[name.split('_')[0]] for name in FEATURES}
    rows = list(pack(examples, LENGTHS))
    blank = {name: np.zeros(0, np.int32) for name in FEATURES}
    packed = MODEL.convert_features(padded(rows + [blank] * (25 - len(rows)), widths))
    alone = MODEL.convert_features(padded(examples + [blank] * (25 - len(examples)), LENGTHS))
    for one, other in zip(
        jax.tree.leaves(loss_sums(params, packed)), jax.tree.leaves(loss_sums(params, alone))
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_no_attention_crosses_a_segment(params):
    row = {
        'inputs': np.array([[5, 6, 7, 8, 9, 10, 11, 0, 0, 0]]),
        'inputs_segment_ids': np.array([[1, 1, 1, 2, 2, 3, 3, 0, 0, 0]]),
        'inputs_positions': np.array([[0, 1, 2, 0, 1, 0, 1, 0, 0, 0]]),
        'targets': np.array([[12, 13, 14, 15, 16, 0]]),
        'targets_segment_ids': np.array([[1, 1, 2, 3, 3, 0]]),
        'targets_positions': np.array([[0, 1, 0, 0, 1, 0]]),
    }
    logits = jax.jit(MODEL.compute_logits)
    before = logits(params, MODEL.convert_features(row))
    changed = {**row, 'inputs': row['inputs'].copy(), 'targets': row['targets'].copy()}
    changed['inputs'][0, 3:5], changed['targets'][0, 2] = (20, 21), 22
    after = logits(params, MODEL.convert_features(changed))
    others = jnp.array([0, 1, 3, 4])
    np.testing.assert_array_equal(before[0, others], after[0, others])
    assert (before[0, 2] != after[0, 2]).any()


def test_a_batch_of_a_packed_store_brings_segments_and_positions(tmp_path):
    rows = list(pack([{'inputs': np.array([5, 6]), 'targets': np.array([7])}] * 6, LENGTHS))
    store = write_columns(tmp_path / 'store', {name: [row[name] for row in rows] for name in FEATURES}, {}, 2)
    (part,) = Batches(store, 2, LENGTHS).batch(0)
    expected = padded(
        [rows[row] for row in part.rows], {name: LENGTHS[name.split('_')[0]] for name in FEATURES}
    )
    assert part.features.keys() == expected.keys()
    assert all((part.features[name] == feature).all() for name, feature in expected.items())
    assert Batches(store, 2, LENGTHS, 1, (5,)).padded_lengths((5, 9))['inputs_segment_ids'] == 5
