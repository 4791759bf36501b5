"""T5X's own launcher on P5's smoke recipe: the SeqIO mixture, live, and the tasks' own metrics."""

import json

import numpy as np
import pytest

from tests.t5x.launched import run_module, t5x_losses

pytest.importorskip('t5x')
STEPS = 6


@pytest.mark.slow
def test_t5x_trains_on_the_live_mixture_and_evaluates_its_tasks(tmp_path):
    workdir = tmp_path / 'run'
    run_module(
        't5x.train',
        '--gin_file=gin_configs/p5/smoke.gin',
        '--gin_file=gin_configs/runs/t5x_train.gin',
        '--gin_file=gin_configs/runs/t5x_live.gin',
        f"--gin.MODEL_DIR='{workdir}'",
        f'--gin.TRAIN_STEPS={STEPS}',
        '--gin.WARMUP_STEPS=2',
        f'--gin.EVAL_PERIOD={STEPS}',
        f'--gin.CHECKPOINT_PERIOD={STEPS}',
        "--gin.p5.P5Tasks.evaluated=('1-6', '2-3', '5-1')",
        '--gin.p5.P5Tasks.cases=8',
        '--gin.p5.P5Tasks.ranked_cases=2',
        '--gin.train.stats_period=1',
        '--gin.train.train_eval_dataset_cfg=None',
    )
    losses = t5x_losses(workdir)
    assert sorted(losses) == list(range(1, STEPS + 1))
    assert np.isfinite(list(losses.values())).all() and losses[STEPS] < losses[1]
    metrics = {
        file.name.split('-')[0]: json.loads(file.read_text().splitlines()[-1])
        for file in (workdir / 'checkpoints' / 'inference_eval').glob('*-metrics.jsonl')
    }
    assert 0 <= metrics['p5_simulated_shop_rating_1_6']['parse_rate'] <= 1
    assert 0 <= metrics['p5_simulated_shop_sequential_2_3']['valid_id_rate'] <= 1
    assert any(name.startswith('hit_rate@1') for name in metrics['p5_simulated_shop_direct_5_1'])
