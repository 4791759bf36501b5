"""Whole words: their numbers by hand, in both converters, in the network, and left out at inference."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import partitioning
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.models.whole_words import WholeWords, whole_word_ids
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding
from llmrec_jax.training.packing import companions, pack
from llmrec_jax.training.train_state import abstract_params, shardings_of
from tests.drawn_parameters import drawn
from tests.shared_data import shared_data
from tests.text.vocabularies import prompt_texts

TEXT = 'user_23 has bought item_7391'
LENGTHS = {'inputs': 24, 'targets': 12}
ROWS = 6


@pytest.fixture(scope='module')
def vocabulary(tmp_path_factory):
    folder = tmp_path_factory.mktemp('vocabulary')
    return TrainedVocabulary(600, symbols=('▁item_', '▁user_')).make_at(folder, prompt_texts())


@pytest.fixture(scope='module')
def model(vocabulary):
    network = T5Config(
        640, 16, 2, 8, 32, 1, 1, dropout_rate=0.0, whole_word_embeddings=ROWS, logits_via_embedding=True
    )
    return EncoderDecoderModel(Transformer(network), whole_words=WholeWords(vocabulary.path))


@pytest.fixture(scope='module')
def params(model):
    shapes = {'encoder_input_tokens': (2, 24), 'decoder_input_tokens': (2, 12)}
    return drawn(model, shapes)


def _examples(vocabulary, count=12):
    """Inputs of different lengths, some ended and some cut, and targets."""
    rng = np.random.default_rng(0)
    rows = [np.asarray([*vocabulary.encode(text), 1]) for text in prompt_texts(count, seed=1)]
    return [
        {'inputs': row[: rng.integers(3, LENGTHS['inputs'] // 2)], 'targets': np.asarray([7, 8, 1])}
        for row in rows
    ]


def _padded(examples):
    return {
        name: np.stack([np.pad(one[name], (0, length - len(one[name]))) for one in examples])
        for name, length in LENGTHS.items()
    }


def test_the_paper_s_example_by_hand_with_the_public_vocabulary():
    t5 = TextVocabulary.load(shared_data('t5-vocab') / 'spiece.model')
    tokens = np.asarray([[*t5.encode(TEXT), 1, 0, 0]])
    # ▁user _ 23 ▁has ▁bought ▁item _ 73 91 </s>, and padding.
    assert whole_word_ids(tokens, t5.word_starts, 512).tolist() == [[1, 1, 1, 2, 3, 4, 4, 4, 4, 0, 0, 0]]


def test_words_by_hand():
    starts = np.asarray([False, False, False, True, False, True])
    tokens = np.asarray([[3, 4, 4, 5, 3, 4, 1, 0], [4, 2, 5, 4, 5, 5, 5, 5]])
    assert whole_word_ids(tokens, starts, 512).tolist() == [
        [1, 1, 1, 2, 3, 3, 0, 0],
        [0, 0, 1, 1, 2, 3, 4, 5],
    ]
    # Words beyond the table share its last row.
    assert whole_word_ids(tokens, starts, 3).tolist() == [[1, 1, 1, 2, 2, 2, 0, 0], [0, 0, 1, 1, 2, 2, 2, 2]]
    packed = np.asarray([[3, 4, 5, 1, 4, 5, 4, 0]])
    positions = np.asarray([[0, 1, 2, 3, 0, 1, 2, 0]])
    assert whole_word_ids(packed, starts, 512, positions).tolist() == [[1, 1, 2, 0, 0, 1, 1, 0]]


@given(st.lists(st.text('ab 1_', max_size=12), min_size=1, max_size=5), st.integers(2, 20))
def test_packed_rows_have_the_numbers_of_their_examples(texts, rows):
    starts = np.zeros(128, bool)
    starts[ord(' ')] = True
    examples = [np.asarray([ord(letter) for letter in text] + [1]) for text in texts]
    alone = [whole_word_ids(example[None], starts, rows)[0] for example in examples]
    positions = np.concatenate([np.arange(len(example)) for example in examples])
    packed = whole_word_ids(np.concatenate(examples)[None], starts, rows, positions[None])
    np.testing.assert_array_equal(packed[0], np.concatenate(alone))


@pytest.mark.parametrize('packed', [False, True])
def test_seqio_converts_to_the_very_same_features(model, vocabulary, packed):
    import tensorflow as tf

    examples = _examples(vocabulary)
    rows = list(pack(examples, LENGTHS)) if packed else examples
    names = [*LENGTHS, *(name for feature in LENGTHS for name in companions(feature) if packed)]
    widths = {name: LENGTHS[name.split('_')[0]] for name in names}
    task = {
        name: np.stack([np.pad(row[name], (0, widths[name] - len(row[name]))) for row in rows])
        for name in names
    }
    expected = model.convert_features(task)
    signature = {name: tf.TensorSpec([None], tf.int32) for name in LENGTHS}
    dataset = tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=signature)
    converter = model.FEATURE_CONVERTER_CLS(pack=packed)
    converted = list(converter(dataset, LENGTHS).as_numpy_iterator())
    assert set(converted[0]) == set(expected) == set(converter.get_model_feature_lengths(LENGTHS))
    assert 'encoder_whole_word_ids' in expected
    if packed:
        # SeqIO packs otherwise; each of its rows must be what the store would have made of it.
        assert max(row['encoder_segment_ids'].max() for row in converted) > 1
        for row in converted:
            task = {
                'inputs': row['encoder_input_tokens'],
                'targets': row['decoder_target_tokens'],
                'inputs_positions': row['encoder_positions'],
                'inputs_segment_ids': row['encoder_segment_ids'],
                'targets_positions': row['decoder_positions'],
                'targets_segment_ids': row['decoder_segment_ids'],
            }
            ours = model.convert_features({name: value[None] for name, value in task.items()})
            for name, value in ours.items():
                np.testing.assert_array_equal(value[0], row[name], name)
    else:
        for name, value in expected.items():
            np.testing.assert_array_equal(value, np.stack([row[name] for row in converted]), name)


def test_the_encoder_adds_the_row_of_each_token_s_word(model, params, vocabulary):
    batch = model.convert_features(_padded(_examples(vocabulary, 2)))
    plain = Transformer(dataclasses.replace(model.module.config, whole_word_embeddings=0))
    table = params['encoder']['whole_word_embedding']['embedding']
    tokens = jnp.asarray(batch['encoder_input_tokens'])

    def embedded(params, **features):
        return model.module.apply({'params': params}, tokens, **features, method='encode')

    with_words = embedded(params, encoder_whole_word_ids=jnp.asarray(batch['encoder_whole_word_ids']))
    assert not np.allclose(with_words, embedded(params))
    # One word number for all: the same as token vectors that have its row added.
    raised = jax.tree.map(lambda leaf: leaf, params)
    raised['token_embedder'] = {'embedding': params['token_embedder']['embedding'] + table[2]}
    del raised['encoder']['whole_word_embedding']
    expected = plain.apply({'params': raised}, tokens, method='encode')
    found = embedded(params, encoder_whole_word_ids=jnp.full_like(tokens, 2))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_whole_words_the_tree_is_t5_s(model, params):
    plain = EncoderDecoderModel(
        Transformer(dataclasses.replace(model.module.config, whole_word_embeddings=0))
    )
    shapes = {'encoder_input_tokens': (2, 24), 'decoder_input_tokens': (2, 12)}
    found = jax.eval_shape(lambda: plain.get_initial_variables(jax.random.key(0), shapes))['params']
    extra = {'whole_word_embedding': params['encoder']['whole_word_embedding']}
    assert extra['whole_word_embedding']['embedding'].shape == (ROWS, 16)
    found['encoder'] |= extra
    assert jax.tree.structure(found) == jax.tree.structure(params)


def test_the_published_omission_leaves_them_out_of_generation_and_scoring(model, params, vocabulary):
    omitting = dataclasses.replace(model, whole_words=WholeWords(vocabulary.path, omitted_at_inference=True))
    plain = EncoderDecoderModel(
        Transformer(dataclasses.replace(model.module.config, whole_word_embeddings=0))
    )
    t5 = {**params, 'encoder': {**params['encoder']}}
    del t5['encoder']['whole_word_embedding']
    batch = model.convert_features(_padded(_examples(vocabulary, 4)))

    def everything(one, params):
        step, cache = one.decoding_step(params, batch), one.module.init_self_cache(4, 1, 3)
        return {
            'scores': one.score_batch(params, batch),
            'logits': one.compute_logits(params, batch, inference=True)[:, :1],
            'validation': one.eval_fn(params, batch)[0],
            'decoding': step(jnp.zeros((4, 1), jnp.int32), 0, cache)[0],
            'training': one.loss_fn(params, batch, jax.random.key(0))[0],
        }

    left_out, without, given = (
        jax.jit(functools.partial(everything, one))(weights)
        for one, weights in ((omitting, params), (plain, t5), (model, params))
    )
    for name in ('scores', 'decoding'):
        np.testing.assert_allclose(left_out[name], without[name], rtol=1e-6)
        assert not np.allclose(given[name], without[name])
    for one in (left_out, given):
        np.testing.assert_allclose(one['decoding'], one['logits'], atol=1e-5)
    for name in ('training', 'validation'):
        np.testing.assert_allclose(left_out[name], given[name], rtol=1e-6)
        assert not np.allclose(left_out[name], without[name])


def test_sharded_over_data_and_model_the_loss_and_its_gradient_are_the_same(model, params, vocabulary):
    batch = model.convert_features(_padded(_examples(vocabulary, 8)))

    def loss(table, params, batch):
        encoder = {**params['encoder'], 'whole_word_embedding': {'embedding': table}}
        return model.loss_sums({**params, 'encoder': encoder}, batch)[0]

    table = params['encoder']['whole_word_embedding']['embedding']
    expected = jax.jit(jax.value_and_grad(loss))(table, params, batch)
    mesh = MeshShape(data=4, model=2).build()
    shapes = {name: jax.ShapeDtypeStruct(rows.shape, rows.dtype) for name, rows in batch.items()}
    shardings = shardings_of(abstract_params(model, shapes, mesh, STANDARD_RULES))
    with jax.set_mesh(mesh), partitioning.axis_rules(STANDARD_RULES):
        placed = jax.device_put(params, shardings)
        table = placed['encoder']['whole_word_embedding']['embedding']
        assert table.addressable_shards[0].data.shape == (ROWS // 2, 16)
        rows = jax.device_put(batch, batch_sharding(mesh, STANDARD_RULES))
        found = jax.jit(jax.value_and_grad(loss))(table, placed, rows)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)


def test_mistakes_have_their_messages(model, params, vocabulary, tmp_path):
    batch = model.convert_features(_padded(_examples(vocabulary, 2)))
    del batch['encoder_whole_word_ids']
    with pytest.raises(ValueError, match="the batch has no 'encoder_whole_word_ids'"):
        model.score_batch(params, batch)
    with pytest.raises(ValueError, match='whole_word_embeddings=6 and EncoderDecoderModel.whole_words=None'):
        dataclasses.replace(model, whole_words=None)
    with pytest.raises(ValueError, match='must be 0, or 2 or more'):
        dataclasses.replace(model.module.config, whole_word_embeddings=1)
    unmade = dataclasses.replace(model, whole_words=WholeWords())
    shapes = unmade.convert_features({'inputs': np.zeros((2, 8), np.int32)})
    assert shapes['encoder_whole_word_ids'].shape == (2, 8)
    with pytest.raises(ValueError, match='set WholeWords.vocabulary'):
        unmade.convert_features({'inputs': np.ones((2, 8), np.int32)})
    small = dataclasses.replace(
        model, module=Transformer(dataclasses.replace(model.module.config, vocab_size=400))
    )
    with pytest.raises(ValueError, match='has 500 pieces, but the network has room for 400'):
        small.convert_features({'inputs': np.ones((2, 8), np.int32)})
    absent = dataclasses.replace(model, whole_words=WholeWords(str(tmp_path / 'absent')))
    with pytest.raises(FileNotFoundError, match='absent does not exist'):
        absent.convert_features({'inputs': np.ones((2, 8), np.int32)})
