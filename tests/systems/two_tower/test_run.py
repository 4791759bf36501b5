"""The whole road of a two-tower retriever on the tiny shop, as a user walks it."""

import json

import numpy as np
import pytest

from llmrec_jax import evaluate, infer, run
from llmrec_jax.retrieval.index_choice import load_index
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.training.metrics_log import read_json_lines
from tests.systems.outside_histories import check_answers_outside

SMOKE = ('--gin_file=gin_configs/two_tower/smoke.gin',)


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
    assert 'is of other parameters than' in capsys.readouterr().err


@pytest.mark.slow
def test_an_index_of_other_vectors_is_refused(finished, capsys):
    vectors = finished / 'retrieval' / 'item_vectors.npy'
    kept = vectors.read_bytes()
    np.save(vectors, np.load(vectors) + 1)
    with pytest.raises(SystemExit):
        evaluate.main([*SMOKE, f'--gin.WORKDIR={finished}', '--gin.system.TwoTower.depth=50'])
    assert 'built over other vectors' in capsys.readouterr().err
    vectors.write_bytes(kept)
