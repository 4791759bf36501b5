"""T5X's own evaluator over a model whose `decode_fn` generates text."""

import jax
import numpy as np
import pytest

pytest.importorskip('t5x', reason='T5X is not installed')

import seqio
import tensorflow as tf
from flax.core import freeze
from t5x import utils
from t5x.eval import InferenceEvaluator

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.sampling import Greedy, Sampling
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.t5x.partitioner import MeshPartitioner
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from tests.drawn_parameters import drawn

TASK = 'text_decoders_test'
LENGTHS = {'inputs': 12, 'targets': 6}
VOCABULARY = seqio.ByteVocabulary(extra_ids=1)
TEXTS = [f'number {number}' for number in range(10)]


@pytest.fixture(scope='module')
def judged():
    """What the metric of a registered task was given: (targets, predictions) at each evaluation."""
    given = []

    def keep(targets, predictions):
        given.append((targets, predictions))
        return {'texts': float(len(predictions))}

    feature = seqio.Feature(VOCABULARY)
    seqio.TaskRegistry.add(
        TASK,
        source=seqio.FunctionDataSource(
            lambda split, shuffle_files, seed=None: tf.data.Dataset.from_tensor_slices(
                {'inputs': TEXTS, 'targets': TEXTS}
            ),
            splits=['test'],
            num_input_examples={'test': len(TEXTS)},
        ),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
        output_features={'inputs': feature, 'targets': feature},
        metric_fns=[keep],
    )
    yield given
    seqio.TaskRegistry.remove(TASK)


@pytest.mark.parametrize(
    'decoder',
    [Greedy(7), Beam(7, 3), Sampling(7, temperature=0.5, samples=2)],
    ids=lambda d: type(d).__name__,
)
def test_t5x_evaluates_generated_texts(judged, decoder):
    model = EncoderDecoderModel(
        Transformer(T5Config(VOCABULARY.vocab_size, 16, 2, 8, 32, 1, 1)),
        input_vocabulary=VOCABULARY,
        output_vocabulary=VOCABULARY,
        decode_fn=decoder,
        return_all_decodes=False,
    )
    shapes = {'encoder_input_tokens': (8, 12), 'decoder_input_tokens': (8, 6)}
    partitioner = MeshPartitioner(MeshShape(data=4, model=2), STANDARD_RULES)
    evaluator = InferenceEvaluator(
        utils.DatasetConfig(TASK, LENGTHS, 'test', batch_size=8, shuffle=False, seed=0),
        seqio.Evaluator,
        model,
        partitioner,
    )
    initializer = utils.TrainStateInitializer(None, model.get_initial_variables, shapes, partitioner)
    params = drawn(model, shapes)
    state = initializer.from_scratch(jax.random.PRNGKey(0)).replace_params(freeze(params))
    metrics = evaluator.evaluate(state, initializer.train_state_axes).result()
    evaluator.close()
    assert metrics[TASK]['texts'] == len(TEXTS)

    targets, predictions = judged[-1]
    assert [target[: LENGTHS['targets'] - 1] for target in targets] == [text[:5] for text in TEXTS]
    inputs = np.zeros((len(TEXTS), 12), np.int32)
    for row, text in zip(inputs, TEXTS):
        tokens = [*VOCABULARY.encode(text), 1][:12]
        row[: len(tokens)] = tokens
    if not isinstance(decoder, Sampling):
        generated = jax.jit(model.generate, static_argnums=2)(
            params, model.convert_features({'inputs': inputs}), decoder
        )
        expected = [VOCABULARY.decode(row) for row in np.asarray(generated.tokens)[:, 0].tolist()]
        assert list(predictions) == expected
    assert len(set(predictions)) > 1
