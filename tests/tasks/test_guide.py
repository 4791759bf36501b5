"""The guide's own code, run as it stands."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import seqio

from llmrec_jax.launch.text_recipe import TextRecipe
from llmrec_jax.runs import gin_config
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tests.text.vocabularies import prompt_texts

ROOT = pathlib.Path(__file__).parents[2]
GUIDE = (ROOT / 'docs' / 'add_a_task.md').read_text()


def block(language: str) -> str:
    (code,) = re.findall(rf'```{language}\n(.*?)```', GUIDE, re.S)
    return code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of someone who followed the guide."""
    (tmp_path / 'my_tasks.py').write_text(block('python'))
    (tmp_path / 'my_task.gin').write_text(block('gin'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop('my_tasks', None)


def test_a_template_of_one_s_own_is_registered_and_judged(folder):
    # There is a vocabulary, so that none is trained on the shop's prompts, which takes its time.
    TrainedVocabulary(size=512, extra_ids=0).make_at('runs/my_task/vocabulary', prompt_texts())
    import my_tasks

    my_tasks.my_tasks('runs/my_task').register()
    task = seqio.get_mixture_or_task('p5_simulated_shop_rating_1_11')
    examples = list(task.get_dataset(None, 'test', shuffle=False).as_numpy_iterator())
    assert len(examples) == 200
    assert b' give to something by ' in examples[0]['inputs_pretokenized']
    targets = [example['targets_pretokenized'].decode() for example in examples]
    (metric,) = task.metric_fns
    assert metric(targets, targets)['rmse'] == 0
    assert metric(targets, ['5.0'] * 200)['rmse'] > 0
    training = seqio.get_mixture_or_task('p5_simulated_shop_train_rating_stars')
    drawn = training.get_dataset(None, 'train', shuffle=False).take(300).as_numpy_iterator()
    assert b'1-11' in {example['template'] for example in drawn}


def test_the_gin_file_is_whole(folder):
    arguments = gin_config.GinArguments(
        ('my_task.gin',), ('WORKDIR="runs/my_task"',), ('.', str(gin_config.REPOSITORY))
    )
    recipe = gin_config.instantiate(TextRecipe, gin_config.load(arguments))
    assert recipe.tasks.p5.prompts.templates[-1].id == '1-11'
    assert recipe.tasks.evaluated == ('1-6', '1-11')


@pytest.mark.slow
def test_the_commands_train_and_evaluate_it(folder):
    commands = block('sh').replace('\\\n', '').strip().splitlines()
    for command in commands:
        arguments = shlex.split(command)
        assert arguments.pop(0) == 'python'
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=1200)
        assert done.returncode == 0, done.stderr[-3000:]
        assert '1-11' in done.stderr
    evaluation = folder / 'runs' / 'my_task' / 'evaluation'
    for name in ('p5_simulated_shop_eval', 'p5_simulated_shop_rating_1_11'):
        assert (evaluation / name / 'report.html').exists()
