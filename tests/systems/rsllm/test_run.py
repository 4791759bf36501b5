"""The smoke recipes of RSLLM and LLaRA run whole, and what they leave."""

import json

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.models.injected_decoder.model import ITEMS
from llmrec_jax.models.injected_decoder.network import TABLE
from llmrec_jax.stages.corpus import SPLITS
from llmrec_jax.systems.rsllm.training_stages import VECTORS, prompt_examples
from llmrec_jax.training.parameter_restore import load_params
from tests.systems.configured import run_phases

pytestmark = pytest.mark.smoke
ALL = ('prepare', 'train', 'evaluate')
RSLLM, LLARA = '--gin_file=gin_configs/rsllm/smoke.gin', '--gin_file=gin_configs/llara/smoke.gin'
SHORT = (
    '--gin.SEQUENCE_STEPS=4',
    '--gin.SEQUENCE_VALIDATE_EVERY=2',
    '--gin.TRAIN_STEPS=4',
    '--gin.WARMUP_STEPS=1',
    '--gin.TEST_USERS=24',
    '--gin.trainer.Trainer.validate_every=2',
    '--gin.trainer.Trainer.checkpoint_every=2',
)


@pytest.mark.parametrize(('recipe', 'name'), [(RSLLM, 'rsllm'), (LLARA, 'llara')], ids=['rsllm', 'llara'])
def test_a_recipe_runs_whole_beside_what_it_is_held_against(recipe, name, tmp_path):
    system, run = run_phases([recipe, *SHORT, f'--gin.WORKDIR={tmp_path}'], ALL)
    found = json.loads((tmp_path / 'results.json').read_text())
    told = found['decoding']
    systems = {name, f'{name}_generated', 'sasrec', 'popularity', 'random_candidates'}
    assert set(told['hr@1']) == systems == set(found['test'])
    for one in systems:
        low, high = told['hr@1'][one]['interval']
        assert told['hr@1'][one]['cases'] == 24 == found['test'][one]['users']
        share = told['hr@1'][one]['share']
        assert low <= share <= high and share == pytest.approx(found['test'][one]['recall@1'])
    assert told['valid']['cases'] == 24 and told['chance'] == 0.05
    # The recommender's vectors are in the checkpoint as they were before training.
    params = load_params(tmp_path / told['checkpoint'])
    np.testing.assert_array_equal(params[TABLE][: len(run[VECTORS])], run[VECTORS])
    with_vectors = run[prompt_examples('train')].lengths(ITEMS) > 0
    assert 0 < with_vectors.mean() < 1

    cases = system.draw.cases(run[SPLITS], 'test')
    asked = system.recommender(run)
    listed = asked.recommend(cases, 10, seen_items='removed')
    assert all(not set(row) & set(cases.histories[case]) for case, row in enumerate(listed.items.tolist()))
    order = np.arange(len(cases))[::-1]
    outside = RankingCases(order, cases.select(order).histories, np.zeros(len(order), np.int64))
    again = asked.for_users(['x'] * len(order)).recommend(outside, 10, seen_items='removed')
    np.testing.assert_array_equal(again.items, listed.items[order])
    with pytest.raises(ValueError, match='20 candidates are shown'):
        asked.recommend(cases, 21, seen_items='removed')

    task = system.engine_task(run)
    assert task.trained is None and set(task.feature_lengths) == set(task.examples('train').features)
    assert task.trainer.initial_checkpoint.endswith('start/checkpoint_0')
