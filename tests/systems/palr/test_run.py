"""PALR's smoke recipe as a user runs it, once as either version, and what is left in the workdir."""

import json
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.stages.corpus import SPLITS, USER_IDS
from llmrec_jax.stages.rank import lists
from tests.systems.configured import configured, run_phases

ALL = ('prepare', 'train', 'evaluate')
SMOKE = ('--gin_file=gin_configs/palr/smoke.gin',)
SHORT = (
    '--gin.TRAIN_STEPS=4',
    '--gin.WARMUP_STEPS=1',
    '--gin.TEST_USERS=24',
    '--gin.ANSWER_LENGTH=12',
    '--gin.trainer.Trainer.validate_every=2',
    '--gin.trainer.Trainer.checkpoint_every=2',
)


def flags(workdir, *more: str) -> list[str]:
    return [*SMOKE, *more, *SHORT, f'--gin.WORKDIR={workdir}']


def results(workdir) -> dict:
    return json.loads((workdir / 'results.json').read_text())


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('palr') / 'run'
    run_phases(flags(workdir), ALL)
    return workdir


@pytest.mark.smoke
def test_no_list_exceeds_the_cap_and_every_system_stands_beside(finished):
    found = results(finished)
    test = found['test']
    for name in ('palr_v2', 'palr_v2_written', 'random_candidates', 'retriever'):
        assert test[name]['recall@10'] <= test['candidate_cap']['recall@10'] + 1e-9
        assert test[name]['users'] == 24
    floors = {'popularity', 'item_knn', 'markov', 'decayed_markov', 'category_markov'}
    assert {'palr_v2_without_candidates', *floors, 'ceiling', 'law_attained'} <= set(test)
    # The same users under the other position, where the ceiling is the same.
    kept = found['test_seen_kept']
    assert set(kept) == {*floors, 'ceiling', 'law_attained'} and kept['ceiling'] == test['ceiling']
    assert all(kept[name]['users'] == 24 for name in floors) and 'validation' not in found
    rates = found['decoding']['with_candidates']
    assert {'titles_written', 'back_fill_rate', 'empty_answer_rate'} <= set(rates)
    # Four steps may teach too little to write a title.
    assert ('invalid_title_rate' in rates) == (rates['titles_written'] > 0)
    assert (
        sum(part['cases'] for part in found['decoding']['by_position'])
        == found['decoding']['choice']['cases']
    )
    assert found['serving']['palr_v2']['first_token']['median'] > 0
    assert found['serving']['palr_v2']['full_list']['median'] > 0
    assert found['training']['profiles_with_keywords'] > 0
    assert 'Cap: the target is among the candidates' in (finished / 'report.html').read_text()


@pytest.mark.smoke
def test_a_second_run_does_nothing_again(finished):
    run_phases(flags(finished), ALL)
    assert all(stage['reused'] for stage in results(finished)['stages'])


@pytest.mark.smoke
def test_evaluating_imports_no_tensorflow_and_asks_again_after_a_change(finished):
    changed = flags(finished, '--gin.system.PalrSystem.position_bins=2')
    program = (
        'import sys\n'
        'from tests.systems.configured import run_phases\n'
        f'run_phases({changed!r}, ("evaluate",))\n'
        "assert 'tensorflow' not in sys.modules and 'seqio' not in sys.modules\n"
    )
    subprocess.run([sys.executable, '-c', program], check=True)
    found = results(finished)
    assert [part['places'] for part in found['decoding']['by_position']] == ['1-5', '6-10']
    assert {stage['name']: stage['reused'] for stage in found['stages']}['train']


@pytest.mark.smoke
def test_the_recommender_lists_what_the_evaluation_listed_and_answers_strangers(finished):
    system = configured(flags(finished))
    opened = system.run
    recommender, cases = system.recommender(opened), system.draw.cases(opened[SPLITS], 'test')
    listed = opened[lists('lists', 'test', 'removed')].systems['palr_v2']
    found = recommender.recommend(cases, 10, seen_items='removed')
    np.testing.assert_array_equal(found.items, listed.items)
    # The same histories from outside, by the users' ids: in any order, whatever the target.
    order = np.arange(len(cases))[::-1]
    ids = [opened[USER_IDS][user] for user in cases.user[order].tolist()]
    outside = RankingCases(
        np.arange(len(order)), cases.select(order).histories, np.zeros(len(order), np.int64)
    )
    again = recommender.for_users(ids).recommend(outside, 10, seen_items='removed')
    np.testing.assert_array_equal(again.items, listed.items[order])
    strangers = recommender.for_users([f'stranger {row}' for row in order])
    of_strangers = strangers.recommend(outside, 10, seen_items='removed')
    assert (np.sort(of_strangers.items, axis=1) == np.sort(again.items, axis=1)).all()
    with pytest.raises(ValueError, match='candidates are shown'):
        recommender.recommend(cases, 11, seen_items='removed')


@pytest.mark.slow
def test_the_first_version_is_trained_on_the_first_task_alone(finished, tmp_path):
    run_phases(flags(tmp_path / 'v1', '--gin_file=gin_configs/overlays/palr_v1.gin'), ALL)
    found = results(tmp_path / 'v1')
    assert list(found['training']['epoch']) == ['palr_simulated_shop_train_recommend']
    assert 'palr_v1' in found['test']
    both = list(results(finished)['training']['epoch'])
    assert both == ['palr_simulated_shop_train_recommend', 'palr_simulated_shop_train_recommend_retrieval']
    for name in ('vocabulary/spiece.model', 'profiles.jsonl'):
        assert (finished / name).read_bytes() == (tmp_path / 'v1' / name).read_bytes()
