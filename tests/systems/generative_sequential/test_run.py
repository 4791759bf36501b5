"""From corpus to report in four steps, and a second run that does nothing again."""

import pytest

from tests.systems.catalogue_smoke import ran_twice


@pytest.mark.slow
def test_four_steps_stand_in_the_results(tmp_path):
    found = ran_twice(
        'generative_sequential/smoke.gin', tmp_path, '--gin.TEACHER_STEPS=4', '--gin.WARMUP_STEPS=1'
    )
    baselines = {'popularity', 'item_knn', 'markov', 'decayed_markov', 'content_scann', 'content_scann_mean'}
    of_teacher = {'generative_sequential_teacher', 'generative_sequential_and_teacher'}
    systems = {'generative_sequential', *of_teacher, *baselines}
    assert found['test'].keys() == {*systems, 'ceiling', 'law_attained'}
    assert found['test']['generative_sequential']['users'] == 200
    assert found['training']['final_step'] == 4
    assert found['training']['predictions'] == 575
