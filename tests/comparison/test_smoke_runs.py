"""Real runs of the tiny shop, compared as a user does it."""

import json

import pytest

from llmrec_jax import compare, run
from tests.systems.catalogue_smoke import FOUR_STEPS

SMOKE = ('--gin_file=gin_configs/sasrec/smoke.gin', *FOUR_STEPS)
GRU4REC = '--gin_file=gin_configs/overlays/encoders/gru4rec.gin'


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('smoke')
    recipes = {'sasrec': SMOKE, 'sasrec_1': (*SMOKE, '--gin.RANDOM_SEED=1'), 'gru4rec': (*SMOKE, GRU4REC)}
    for name, recipe in recipes.items():
        run.main([*recipe, f'--gin.WORKDIR={root / name}'])
    return [root / name for name in recipes]


@pytest.mark.slow
def test_seeds_of_a_recipe_stand_beside_another_and_the_floors(folders, tmp_path):
    assert compare.main([*map(str, folders), f'--output={tmp_path / "c.html"}']) == 0
    told = json.loads((tmp_path / 'c.json').read_text())
    results = [json.loads((folder / 'results.json').read_text()) for folder in folders]
    assert told['corpus'] == results[0]['corpus'] and told['users'] == 200
    for position, section in (('kept', 'test'), ('removed', 'test_seen_removed')):
        found = {one['name']: one for one in told['systems'][position]}
        assert found.keys() == results[2][section].keys() | {'sasrec'}
        for name in results[2][section]:
            own = results[2][section][name]
            assert found[name]['metrics'] == {key: own[key] for key in own if '@' in key}
            assert found[name]['intervals'] == own.get('intervals', {})
        sasrec, gru4rec = found['sasrec'], found['gru4rec']
        assert sasrec['seeds'] == ['0', '1'] and sasrec['runs'] == ['sasrec', 'sasrec_1']
        assert sasrec['metrics']['ndcg@10'] == pytest.approx(
            (results[0][section]['sasrec']['ndcg@10'] + results[1][section]['sasrec']['ndcg@10']) / 2
        )
        costs = gru4rec['costs']
        assert costs['parameters'] == results[2]['training']['parameters']
        assert costs['training_seconds'] == results[2]['training']['training_seconds'] > 0
        assert costs['users_per_second'] == results[2][section]['gru4rec']['users_per_second']
        assert costs['peak_memory_mb'] > 100


@pytest.mark.slow
def test_another_shop_is_refused(folders, tmp_path, capsys):
    other = tmp_path / 'other'
    run.main([*SMOKE, '--gin.source.SimulatedShop.seed=1', f'--gin.WORKDIR={other}'])
    capsys.readouterr()
    assert compare.main([str(folders[0]), str(other), f'--output={tmp_path / "c.html"}']) == 1
    assert 'provenance.seed 0 and 1' in capsys.readouterr().err
