"""SeqIO tasks of a user's own, evaluated by their own metrics."""

import collections
import json

import jax
import numpy as np
import pytest

from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_evaluation.registered_tasks import evaluate_registered
from tests.drawn_parameters import drawn
from tests.inference import text_tasks

LENGTHS = {'inputs': 64, 'targets': 16}
CONFIG = T5Config(
    vocab_size=80, emb_dim=16, num_heads=2, head_dim=4, mlp_dim=24, num_encoder_layers=1, num_decoder_layers=1
)


@pytest.fixture(scope='module')
def network():
    """One that has learned nothing."""
    model = EncoderDecoderModel(Transformer(CONFIG))
    batch = model.convert_features({name: np.ones((1, 2), np.int32) for name in LENGTHS})
    shapes = {name: array.shape for name, array in batch.items()}
    params = drawn(model, shapes)
    return PlacedModel(model, jax.device_put(jax.tree.map(np.asarray, params)))


def evaluated(network, folder, name='judged_things', split='validation'):
    return evaluate_registered(
        network,
        name,
        split,
        decoder=Greedy(max_length=6),
        batch_size=8,
        feature_lengths=LENGTHS,
        directory=folder,
    )


@pytest.mark.smoke
def test_a_registered_mixture_is_judged_by_its_tasks_own_metrics(network, tmp_path):
    found = evaluated(network, tmp_path)
    assert found.keys() == {'judged_thing'}
    assert found['judged_thing'].measured.metrics['exact_match'] == 0.0
    assert _likelihood(found) == pytest.approx(_mean_likelihood(network), rel=1e-4)
    kept = json.loads((tmp_path / 'judged_things' / 'results.json').read_text())
    assert kept == {'split': 'validation', 'tasks': {'judged_thing': found['judged_thing'].as_dict()}}


def test_what_was_asked_and_answered_is_kept(network, tmp_path):
    found = evaluated(network, tmp_path, 'judged_thing')
    path = tmp_path / 'judged_thing' / 'judged_thing' / 'predictions.jsonl'
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line['id'] for line in lines] == list(range(text_tasks.SIZES['validation']))
    assert [(line['input'], line['target']) for line in lines] == text_tasks.texts('validation')
    assert all(isinstance(line['answer'], str) for line in lines)
    scores = [line['score'] for line in lines]
    assert np.mean(scores) == pytest.approx(_likelihood(found), rel=1e-5)
    low, high = found['judged_thing'].measured.intervals['mean_likelihood']
    assert min(scores) < low < np.mean(scores) < high < max(scores)
    # The most frequent thing of training, and how often it is the right one here.
    counts = collections.Counter(target for _, target in text_tasks.texts('train'))
    frequent = min(counts, key=lambda text: (-counts[text], text))
    right = np.mean([line['target'] == frequent for line in lines])
    (floor,) = found['judged_thing'].floors.values()
    assert right > 0 and floor.metrics == {'exact_match': pytest.approx(right)}
    assert floor.intervals['exact_match'][0] < right < floor.intervals['exact_match'][1]


def _likelihood(found):
    return found['judged_thing'].measured.metrics['mean_likelihood']


def _mean_likelihood(network):
    """All examples in one batch, padded to the longest."""
    batch = {}
    for feature, texts in zip(('inputs', 'targets'), zip(*text_tasks.texts('validation')), strict=True):
        rows = [[*text_tasks.VOCABULARY.encode(text), 1] for text in texts]
        batch[feature] = np.asarray([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])
    features = network.model.convert_features(batch)
    return float(network.model.score_batch(network.params, features).mean())


@pytest.mark.parametrize(
    ('name', 'split', 'told'),
    [('next_thing', 'validation', 'metric_fns'), ('judged_thing', 'test', 'train, validation')],
)
def test_what_cannot_be_evaluated_is_told(network, tmp_path, name, split, told):
    with pytest.raises(ValueError, match=told):
        evaluated(network, tmp_path, name, split)
