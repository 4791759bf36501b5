"""What a decoder reads and predicts: SeqIO's features, with a start token or without."""

import numpy as np
import pytest

from llmrec_jax.models.decoder_only.features import LOSS_PLACES, decoder_features
from tests.models.decoder_only.small import model

# The examples of `seqio.PrefixLMFeatureConverter`'s documentation.
PACKED = {
    'inputs': np.array([[7, 8, 5, 1, 8, 4, 9, 3, 1, 0]]),
    'inputs_segment_ids': np.array([[1, 1, 1, 1, 2, 2, 2, 2, 2, 0]]),
    'targets': np.array([[3, 9, 1, 4, 1]]),
    'targets_segment_ids': np.array([[1, 1, 1, 2, 2]]),
}
UNPACKED = {'inputs': np.array([[9, 4, 6, 1, 0, 0]]), 'targets': np.array([[3, 9, 1, 0]])}


def test_packed_examples_stand_one_behind_the_other():
    features = decoder_features(PACKED, 0)
    expected = {
        'decoder_target_tokens': [7, 8, 5, 1, 3, 9, 1, 8, 4, 9, 3, 1, 4, 1, 0],
        'decoder_input_tokens': [0, 7, 8, 5, 1, 3, 9, 0, 8, 4, 9, 3, 1, 4, 0],
        'decoder_loss_weights': [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0],
        'decoder_positions': [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0],
        'decoder_segment_ids': [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0],
        'decoder_causal_attention': [1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
    }
    assert features.pop(LOSS_PLACES).tolist() == [[4, 5, 6, 12, 13]]
    assert {name: feature[0].tolist() for name, feature in features.items()} == expected


def test_without_a_start_token_the_first_token_is_read_and_not_predicted():
    features = decoder_features(UNPACKED, None)
    assert features.pop(LOSS_PLACES)[0, :3].tolist() == [3, 4, 5]
    assert {name: feature[0].tolist() for name, feature in features.items()} == {
        'decoder_input_tokens': [9, 4, 6, 1, 3, 9, 1, 0, 0, 0],
        'decoder_target_tokens': [4, 6, 1, 3, 9, 1, 0, 0, 0, 0],
        'decoder_loss_weights': [0, 0, 0, 1, 1, 1, 0, 0, 0, 0],
        'decoder_causal_attention': [1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    }
    packed = decoder_features(PACKED, None)
    assert packed['decoder_target_tokens'].tolist() == [[8, 5, 1, 3, 9, 1, 0, 4, 9, 3, 1, 4, 1, 0, 0]]
    assert packed['decoder_loss_weights'].tolist() == [[0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0]]


@pytest.mark.parametrize(('start', 'read'), [(5, [5, 9, 0, 6, 0]), (None, [9, 0, 6, 0])])
def test_a_prompt_is_the_start_and_the_inputs_and_zero_within_it_is_a_token(start, read):
    features = decoder_features({'inputs': np.array([[9, 0, 6, 0]])}, start)
    assert features['decoder_input_tokens'].tolist() == [read]
    assert features['decoder_causal_attention'].tolist() == [
        [int(place < len(read) - 1) for place in range(len(read))]
    ]
    assert features.keys() == {'decoder_input_tokens', 'decoder_causal_attention'}


@pytest.mark.parametrize('pack', [False, True])
@pytest.mark.parametrize('start', [5, None])
def test_seqio_makes_the_same(start, pack):
    tf = pytest.importorskip('tensorflow')
    examples = [
        {'inputs': [7, 8, 5, 1], 'targets': [3, 9, 1]},
        {'inputs': [8, 4, 9, 3, 1], 'targets': [4, 1]},
    ]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(examples),
        output_signature={name: tf.TensorSpec([None], tf.int32) for name in ('inputs', 'targets')},
    )
    converter = model(start_token=start).FEATURE_CONVERTER_CLS(pack=pack)
    rows = list(converter(dataset, {'inputs': 10, 'targets': 5}).as_numpy_iterator())
    batch = PACKED
    if not pack:
        batch = {
            'inputs': np.array([[7, 8, 5, 1, *[0] * 6], [8, 4, 9, 3, 1, *[0] * 5]]),
            'targets': np.array([[3, 9, 1, 0, 0], [4, 1, 0, 0, 0]]),
        }
    ours = decoder_features(batch, start)
    if pack:
        # There a row may have more targets than one example.
        del ours[LOSS_PLACES]
    lengths = converter.get_model_feature_lengths({'inputs': 10, 'targets': 5})
    assert lengths == {name: feature.shape[1] for name, feature in ours.items()}
    assert ours.keys() == rows[0].keys() and len(rows) == len(batch['inputs'])
    for name, feature in ours.items():
        theirs = np.stack([row[name] for row in rows])
        np.testing.assert_array_equal(feature, theirs, err_msg=name)


def test_seen_items_go_along():
    tf = pytest.importorskip('tensorflow')
    dataset = tf.data.Dataset.from_tensors(
        {'inputs': tf.constant([7, 1]), 'targets': tf.constant([3]), 'seen': tf.constant([2, 4, 0])}
    )
    converter = model(seen_items='removed').FEATURE_CONVERTER_CLS(pack=False)
    (row,) = converter(dataset, {'inputs': 3, 'targets': 2}).as_numpy_iterator()
    assert row['seen'].tolist() == [2, 4, 0] and row['decoder_target_tokens'].tolist() == [7, 1, 3, 0, 0]
