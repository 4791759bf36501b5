"""T5X reads the packed rows that the embedded engine reads."""

import numpy as np
import pytest

pytest.importorskip('t5x', reason='T5X is not installed')

import seqio

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.t5x.store_batches import StoreIterator
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.packing import companions, pack

LENGTHS = {'inputs': 12, 'targets': 6}


def test_the_iterator_gives_the_features_that_seqio_gives_of_packed_rows(tmp_path):
    random = np.random.default_rng(0)
    examples = [
        {name: random.integers(1, 30, random.integers(1, length // 2)) for name, length in LENGTHS.items()}
        for _ in range(40)
    ]
    rows = list(pack(examples, LENGTHS))
    names = [name for feature in LENGTHS for name in (feature, *companions(feature))]
    store = write_columns(tmp_path / 'store', {name: [row[name] for row in rows] for name in names}, {}, 2)
    model = EncoderDecoderModel(Transformer(T5Config(30, 8, 2, 4, 16, 1, 1)))
    batches = Batches(store, 4, LENGTHS)
    iterator = StoreIterator(batches, model, 3, slice(2, 4))
    features = next(iterator)
    assert features.keys() == seqio.EncDecFeatureConverter.PACKING_FEATURE_DTYPES.keys() | (
        seqio.EncDecFeatureConverter.MODEL_FEATURES.keys()
    )
    spec = iterator.element_spec
    assert {name: (array.shape, array.dtype) for name, array in features.items()} == {
        name: (one.shape, one.dtype) for name, one in spec.items()
    }
    (whole,) = batches.batch(3)
    assert (features['encoder_segment_ids'] == whole.features['inputs_segment_ids'][2:]).all()
