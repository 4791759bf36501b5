"""P5's tasks over real corpora, by the recipes' own gin files."""

import dataclasses

import pytest
import seqio

from llmrec_jax.text.vocabulary_sources import T5Vocabulary
from tasks import prompt_pipeline
from tests.shared_data import shared_data
from tests.systems.p5.test_recipes import load

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ('recipe', 'where', 'folder', 'families', 'left_out'),
    [
        (
            'amazon_musical_instruments',
            'MANUAL_DIR',
            'amazon-musical-instruments',
            {'rating', 'sequential', 'explanation', 'review', 'direct'},
            {'1-2': 'no item has a title'},
        ),
        (
            'amazon_beauty',
            'CORPUS_DIR',
            'amazon-beauty',
            {'sequential', 'direct'},
            {'1-1': 'no event has a rating', '4-1': 'no event has a headline; no event has a review'},
        ),
        (
            'movielens',
            'MANUAL_DIR',
            'ml-latest-small',
            {'rating', 'sequential', 'direct'},
            {'4-1': 'no event has a headline; no event has a review'},
        ),
    ],
)
def test_a_corpus_has_the_families_that_it_can_fill(
    recipe, where, folder, families, left_out, caplog, tmp_path
):
    loaded = load(recipe, bindings=(f'{where}={shared_data(folder)}',))
    tasks = dataclasses.replace(loaded.tasks, cases=5, ranked_cases=2)
    task_set = tasks.build_over(tasks.corpus.build())
    assert {task.group.family for task in task_set.training} == families
    assert {task.group.family for task in task_set.evaluation} == families
    for template, why in left_out.items():
        assert task_set.facts['left_out'][template] == why
        assert why.split('; ')[0] in caplog.text
    assert task_set.facts['overlap'] == {'validation': 0.0, 'test': 0.0}

    source = T5Vocabulary(str(shared_data('t5-vocab') / 'spiece.model'))
    prompt_pipeline.register(task_set, source.make_at(tmp_path))
    for name in task_set.mixtures[f'{tasks.name}_eval']:
        provider = seqio.get_mixture_or_task(name)
        examples = provider.get_dataset(tasks.feature_lengths, 'test', shuffle=False, num_epochs=1)
        plain = next(task_set.task(name).examples('test'))
        example = next(examples.as_numpy_iterator())
        assert example['inputs_pretokenized'].decode() == plain['inputs']
        assert example['targets_cut'] == 0
