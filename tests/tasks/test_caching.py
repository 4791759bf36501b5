"""Tasks that were cached offline give the examples that they give live."""

import numpy as np
import pytest
import seqio

from llmrec_jax.corpora import prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.prompts.p5.data import P5
from llmrec_jax.prompts.p5.groups import P5Prompts
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tasks.p5 import P5Tasks
from tasks.sequential import SequentialTask
from tasks.tiger import TigerTask
from tests.tasks.cached import cache_split

SHOP = SimulatedShop(size='tiny')


def tiger(folder):
    items = len(prepare.load_corpus(prepare.prepare(SHOP, folder / 'data')).items)
    codes = np.stack(np.divmod(np.arange(items), 16), axis=1).astype(np.int32)
    sizes = (int(codes[:, 0].max()) + 1, 16)
    CodeTable(codes, sizes, {}).save(folder / 'table.npz')
    layout = TokenLayout(codebook_sizes=sizes, user_tokens=50)
    task = TigerTask(SHOP, str(folder / 'data'), str(folder / 'table.npz'), layout, max_items=5)
    return {task.register(): task.feature_lengths}


def sequential(folder):
    task = SequentialTask(SHOP, str(folder / 'data'), max_items=5)
    return {task.register(): task.feature_lengths}


def prompts(folder):
    tasks = P5Tasks(
        corpus=SHOP,
        data_dir=str(folder / 'data'),
        workdir=str(folder),
        vocabulary=TrainedVocabulary(size=480, extra_ids=0),
        p5=P5(prompts=P5Prompts(candidates=5)),
        evaluated=('1-6', '5-5'),
        cases=20,
        ranked_cases=2,
        vocabulary_examples=500,
    )
    task_set = tasks.register()
    asked = [task for task in task_set.evaluation if task.template.id in tasks.evaluated]
    trained = min(task_set.training, key=lambda task: len(task.records['train']))
    # Shorter than the longest prompt, because what is cached is whatever the lengths are.
    return {task.name: {'inputs': 40, 'targets': 8} for task in (trained, *asked)}


@pytest.mark.parametrize('made', [tiger, sequential, pytest.param(prompts, marks=pytest.mark.slow)])
def test_a_cached_task_gives_the_live_task_s_examples(made, tmp_path):
    before = seqio.get_global_cache_dirs()
    cached = 0
    try:
        for name, lengths in made(tmp_path).items():
            task = seqio.TaskRegistry.get(name)
            assert task.supports_caching
            splits = [split for split in ('train', 'test') if split in task.splits]
            written = {split: cache_split(task, split, tmp_path / 'cache') for split in splits}
            seqio.set_global_cache_dirs([str(tmp_path / 'cache')])
            for split, examples in written.items():
                live, read = (
                    list(
                        task.get_dataset(
                            lengths, split, use_cached=use_cached, shuffle=False
                        ).as_numpy_iterator()
                    )
                    for use_cached in (False, True)
                )
                assert len(live) == len(read) == examples > 0
                assert sorted(map(_written, read)) == sorted(map(_written, live))
                cached += 1
    finally:
        seqio.set_global_cache_dirs(before)
    assert cached >= 2


def _written(example) -> str:
    return repr({name: np.asarray(value).tolist() for name, value in sorted(example.items())})
