"""The whole road of a sequential recommender on the tiny shop, as a user walks it."""

import json
import subprocess
import sys

import pytest

from llmrec_jax import evaluate, run
from llmrec_jax.training.metrics_log import read_json_lines
from tests.systems.outside_histories import check_answers_outside

SMOKE = ('--gin_file=gin_configs/sasrec/smoke.gin',)
FLOORS = {'popularity', 'item_knn', 'markov', 'decayed_markov', 'category_markov'}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A workdir in which the whole recipe ran."""
    workdir = tmp_path_factory.mktemp('sequential') / 'shop'
    run.main([*SMOKE, f'--gin.WORKDIR={workdir}'])
    return workdir


def results(workdir):
    return json.loads((workdir / 'results.json').read_text())


@pytest.mark.slow
def test_it_learns_the_shop_and_stands_beside_the_floors(finished):
    found = results(finished)
    systems = {'sasrec', *FLOORS, 'ceiling'}
    assert found['test'].keys() >= systems
    assert {'test_seen_removed', 'validation'} <= found.keys()
    assert found['test']['sasrec']['users'] == 200
    assert found['test']['popularity']['ndcg@10'] < found['test']['sasrec']['ndcg@10']
    assert found['test']['sasrec']['ndcg@10'] < found['test']['ceiling']['ndcg@10'] + 0.05
    best = max(row['ndcg@10'] for row in read_json_lines(finished / 'validation.jsonl'))
    assert found['validation']['sasrec']['ndcg@10'] == pytest.approx(best, abs=1e-9)
    assert 'SASRec on simulated_shop' in (finished / 'report.html').read_text()


@pytest.mark.slow
def test_targets_among_drawn_items_are_told_apart(finished):
    found = results(finished)
    uniform, popular = found['sampled']
    assert uniform['protocol']['excluded'] == 'sequence' and uniform['protocol']['seed'] == 0
    for record in (uniform, popular):
        assert record['systems'].keys() == {'sasrec', *FLOORS}
        assert all(one['examples'] == 200 for one in record['systems'].values())
    among_21 = uniform['systems']['sasrec']['recall@10_of_21_uniform']
    assert among_21 > uniform['systems']['popularity']['recall@10_of_21_uniform']
    # Of fewer candidates more targets are found.
    assert among_21 > found['test']['sasrec']['recall@10']
    assert not any('_of_' in name for systems in ('test', 'validation') for name in found[systems]['sasrec'])
    assert 'Sampled candidates' in (finished / 'report.html').read_text()


@pytest.mark.slow
def test_too_small_a_catalogue_for_a_protocol_is_told_before_training(tmp_path, capsys):
    flags = [*SMOKE, f'--gin.WORKDIR={tmp_path}', '--gin_file=gin_configs/overlays/sampled_protocols.gin']
    with pytest.raises(SystemExit):
        run.main(flags)
    assert 'negatives are wanted, but only' in capsys.readouterr().err
    assert not (tmp_path / 'checkpoints').exists()


@pytest.mark.slow
def test_a_second_run_does_nothing_again_and_evaluating_reads_no_tensorflow(finished):
    flags = [*SMOKE, f'--gin.WORKDIR={finished}']
    run.main(flags)
    assert all(stage['reused'] for stage in results(finished)['stages'])
    longer = '--gin.rank.Ranking.list_length=12'
    code = (
        'import sys\n'
        'from llmrec_jax import evaluate, train\n'
        f'train.main({flags!r})\n'
        f'evaluate.main({[*flags, longer]!r})\n'
        'assert "tensorflow" not in sys.modules\n'
    )
    before = results(finished)['test']['sasrec']['ndcg@10']
    subprocess.run([sys.executable, '-c', code], check=True)
    evaluate.main(flags)
    assert results(finished)['test']['sasrec']['ndcg@10'] == before


@pytest.mark.slow
def test_it_answers_histories_from_outside_as_it_was_evaluated(finished, tmp_path):
    check_answers_outside(SMOKE, finished, 'sasrec', tmp_path)


@pytest.mark.parametrize(
    ('flag', 'message'),
    [
        ('--gin.trainer.Trainer.feature_lengths={"items": 5}', "must be {'items': 11}"),
        ('--gin.SEEN_ITEMS=hidden', "must be one of 'kept', 'removed'"),
        ('--gin.DROPUOT=0.1', 'did you mean DROPOUT'),
        ('--gin.system.SequentialRecommendation.ranking_batch_size=12', 'cannot be shared among 8 devices'),
    ],
)
def test_a_wrong_recipe_ends_with_one_message(tmp_path, capsys, flag, message):
    with pytest.raises(SystemExit):
        run.main([*SMOKE, f'--gin.WORKDIR={tmp_path}', flag])
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'stages').exists()
