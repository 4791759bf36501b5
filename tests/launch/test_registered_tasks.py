"""SeqIO tasks of a user's own, evaluated by their own metrics."""

import json

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from llmrec_jax import evaluate
from llmrec_jax.launch import pipeline
from llmrec_jax.launch.fine_tuning import FineTuning
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.runs import gin_config
from llmrec_jax.training.parameter_restore import load_params
from tests.launch import text_tasks
from tests.launch.test_fine_tuning import flags

MODULE = '--module=tests.launch.text_tasks'


def settings(workdir):
    return flags(workdir / 'no_examples', workdir)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Of a network that has learned nothing."""
    folder = tmp_path_factory.mktemp('network') / 'checkpoint_3'
    _, recipe = pipeline.parse('', settings(folder.parent), kinds=(FineTuning,))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), RunFolder(recipe).abstract_params
    )
    ocp.PyTreeCheckpointer().save(folder / 'state', {'target': params, 'state': {'step': np.int32(3)}})
    return folder


def test_a_registered_mixture_is_judged_by_its_tasks_own_metrics(checkpoint, tmp_path):
    evaluate.main([*settings(tmp_path), MODULE, '--task=judged_things', f'--checkpoint={checkpoint}'])
    found = json.loads((tmp_path / 'evaluation' / 'judged_things' / 'results.json').read_text())
    assert found.keys() == {'split', 'tasks'} and found['tasks'].keys() == {'judged_thing'}
    metrics = found['tasks']['judged_thing']
    assert metrics['exact_match'] == 0.0
    assert metrics['mean_likelihood'] == pytest.approx(_mean_likelihood(checkpoint), rel=1e-4)


def _mean_likelihood(checkpoint):
    """All examples in one batch, padded to the longest."""
    recipe = gin_config.gin.get_configurable(FineTuning)()
    batch = {}
    for feature, texts in zip(('inputs', 'targets'), zip(*text_tasks.texts('validation')), strict=True):
        rows = [[*text_tasks.VOCABULARY.encode(text), 1] for text in texts]
        batch[feature] = np.asarray([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])
    features = recipe.model.convert_features(batch)
    return float(recipe.model.score_batch(load_params(checkpoint), features).mean())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((MODULE,), 'give its name as --task=NAME'),
        ((MODULE, '--task=judged_thing'), 'name the checkpoint of the fine-tuned network: --checkpoint=DIR'),
        ((MODULE, '--task=judgd_thing', '--checkpoint=x'), "did you mean 'judged_thing'"),
        ((MODULE, '--task=next_thing', '--checkpoint=x'), 'no task with metric_fns'),
        (
            (MODULE, '--task=judged_thing', '--split=test', '--checkpoint=x'),
            'judged_thing: train, validation',
        ),
        (
            ('--module=no_such_module', '--task=judged_thing', '--checkpoint=x'),
            'looked up in the working dir',
        ),
    ],
)
def test_what_cannot_be_evaluated_ends_with_one_message(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        evaluate.main([*settings(tmp_path), *arguments])
    said = capsys.readouterr().err
    assert message in said and 'Traceback' not in said
