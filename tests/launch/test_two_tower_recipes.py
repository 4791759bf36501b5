"""Every two-tower recipe can be configured, and its whole road on the tiny shop."""

import dataclasses
import json

import numpy as np
import pytest

from llmrec_jax import evaluate, infer, run
from llmrec_jax.launch.two_tower_recipe import TwoTowerRecipe
from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.retrieval.index_choice import load_index
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.runs import gin_config
from llmrec_jax.training.metrics_log import read_json_lines
from tests.launch.outside_histories import check_answers_outside
from tests.launch.test_recipes import CONFIGS, PARTS

RECIPES = sorted(path.name for path in (CONFIGS / 'two_tower').glob('*.gin') if path.name not in PARTS)
SMOKE = ('--gin_file=gin_configs/two_tower/smoke.gin',)


def load(name):
    needed = ['CORPUS_DIR="shop"'] if 'beauty' in name else []
    arguments = gin_config.GinArguments(
        (f'gin_configs/two_tower/{name}',),
        ('WORKDIR="runs/x"', *needed),
        ('.', str(gin_config.REPOSITORY)),
    )
    return gin_config.instantiate(TwoTowerRecipe, gin_config.load(arguments))


@pytest.mark.parametrize('name', RECIPES)
def test_every_recipe_is_whole(name):
    recipe = load(name)
    assert recipe.trainer.feature_lengths == recipe.task.feature_lengths
    assert recipe.trainer.best_metric.name == 'ndcg@10'
    assert 'text' in recipe.trainer.optimizer.undecayed
    facts = CatalogueFacts(5, np.ones(5), np.ones((5, recipe.text_encoder.dim), np.float32))
    assert recipe.model.for_catalogue(facts).loss.probabilities.shape == (5,)


def test_a_list_longer_than_what_is_ranked_is_refused():
    with pytest.raises(ValueError, match='depth=5 is below TwoTowerRecipe.list_length=10'):
        dataclasses.replace(load('smoke.gin'), depth=5)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A workdir in which the whole recipe ran."""
    workdir = tmp_path_factory.mktemp('two_tower') / 'shop'
    run.main([*SMOKE, f'--gin.WORKDIR={workdir}'])
    return workdir


def results(workdir):
    return json.loads((workdir / 'results.json').read_text())


@pytest.mark.slow
def test_it_learns_the_shop_and_is_served_from_its_index(finished):
    found = results(finished)
    assert found['test']['popularity']['ndcg@10'] < found['test']['two_tower']['ndcg@10']
    assert found['test']['two_tower']['ndcg@10'] < found['test']['ceiling']['ndcg@10'] + 0.05
    assert found['serving']['index']['build_seconds'] > 0
    vectors = np.load(finished / 'retrieval' / 'item_vectors.npy')
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    index = load_index(finished / 'retrieval' / 'index', vectors)
    assert isinstance(index, ScannIndex) and index.recall.reached >= 0.9
    best = max(row['ndcg@10'] for row in read_json_lines(finished / 'validation.jsonl'))
    assert found['validation']['two_tower']['ndcg@10'] == pytest.approx(best, abs=0.02)


@pytest.mark.slow
def test_a_second_run_does_nothing_again_and_another_index_trains_nothing_anew(finished):
    flags = [*SMOKE, f'--gin.WORKDIR={finished}']
    run.main(flags)
    assert all(stage['reused'] for stage in results(finished)['stages'])
    evaluate.main([*flags, '--gin.index_choice.IndexChoice.exact_below=1000'])
    again = {stage['name'] for stage in results(finished)['stages'] if not stage['reused']}
    assert again == {'index', 'evaluate'}
    best = max(row['ndcg@10'] for row in read_json_lines(finished / 'validation.jsonl'))
    assert results(finished)['validation']['two_tower']['ndcg@10'] == pytest.approx(best, abs=1e-6)
    evaluate.main(flags)


@pytest.mark.slow
def test_it_answers_histories_from_outside_as_it_was_evaluated(finished, tmp_path):
    check_answers_outside(SMOKE, finished, 'two_tower', tmp_path)


@pytest.mark.slow
def test_an_index_of_other_parameters_answers_nothing(finished, tmp_path, capsys):
    source = tmp_path / 'histories.jsonl'
    item = json.loads((finished / 'catalogue.jsonl').read_text().splitlines()[0])['item_id']
    source.write_text(json.dumps({'history': [item]}))
    best = results(finished)['decoding']['checkpoint']
    other = next(path for path in (finished / 'checkpoints').glob('checkpoint_*') if path.name not in best)
    flags = [*SMOKE, f'--gin.WORKDIR={finished}', f'--input={source}', f'--checkpoint={other}']
    with pytest.raises(SystemExit):
        infer.main(flags)
    assert 'the index is of other parameters than' in capsys.readouterr().err


@pytest.mark.slow
def test_an_index_of_other_vectors_is_refused(finished, capsys):
    vectors = finished / 'retrieval' / 'item_vectors.npy'
    kept = vectors.read_bytes()
    np.save(vectors, np.load(vectors) + 1)
    with pytest.raises(SystemExit):
        evaluate.main([*SMOKE, f'--gin.WORKDIR={finished}', '--gin.two_tower_recipe.TwoTowerRecipe.depth=50'])
    assert 'built over other vectors' in capsys.readouterr().err
    vectors.write_bytes(kept)
