"""From corpus to report in four steps, and by each encoder that stands in SASRec's place."""

import pytest

from tests.systems.catalogue_smoke import ran_twice

BASELINES = {'popularity', 'item_knn', 'markov', 'decayed_markov', 'category_markov'}
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    'system',
    ['sasrec', *(pytest.param(other, marks=SLOW) for other in ('bert4rec', 'gru4rec', 'caser'))],
)
@pytest.mark.smoke
def test_four_steps_stand_in_the_results(tmp_path, system):
    after = () if system == 'sasrec' else (f'overlays/encoders/{system}.gin',)
    found = ran_twice('sasrec/smoke.gin', tmp_path, after=after)
    assert found['test'].keys() == {system, *BASELINES, 'ceiling', 'law_attained'}
    assert found['test'][system]['users'] == 200
    assert found['validation_seen_removed'].keys() == {*BASELINES, 'ceiling', 'law_attained'}
    assert [record['systems'].keys() for record in found['sampled']] == [{system, *BASELINES}] * 2
    assert found['training']['final_step'] == 4
    assert (tmp_path / found['decoding']['checkpoint']).is_dir()
