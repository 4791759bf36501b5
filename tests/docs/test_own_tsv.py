"""The example of a TSV file of one's own in docs/systems/fine_tuning.md, followed from texts to metrics.

Its recipe is gin_configs/flan_t5/finetune.gin with gin_configs/models/t5_tiny.gin, kept as
runs/my_reviews/config.gin.
"""

import importlib
import json
import random
import shlex
import sys

import pytest

from tests.docs.pages import ROOT, blocks, commands

PAGE = ROOT / 'docs' / 'systems' / 'fine_tuning.md'
GOOD, BAD = ('bright', 'sturdy', 'lovely', 'solid'), ('broken', 'dull', 'flimsy', 'rusty')
FILLERS = ('lamp', 'desk', 'chair', 'every', 'day', 'after', 'a', 'week', 'it', 'is')


def reviews(count: int, seed: int) -> str:
    """Lines whose one telling word decides the answer."""
    drawn = random.Random(seed)
    lines = []
    for _ in range(count):
        answer = drawn.choice(('like', 'dislike'))
        words = [*drawn.choices(FILLERS, k=5), drawn.choice(GOOD if answer == 'like' else BAD)]
        drawn.shuffle(words)
        lines.append(f'{" ".join(words)}\t{answer}')
    return '\n'.join(lines)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of someone who followed the page."""
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'train.tsv').write_text(reviews(600, seed=0))
    (tmp_path / 'data' / 'validation.tsv').write_text(reviews(100, seed=1))
    (tmp_path / 'my_reviews.py').write_text(blocks(PAGE, 'python')[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop('my_reviews', None)


@pytest.mark.slow
def test_the_commands_learn_it(folder):
    texts = [line.split('\t') for line in reviews(20, seed=2).splitlines()]
    asked = '\n'.join(json.dumps({'inputs': text}) for text, _ in texts)
    (folder / 'texts.jsonl').write_text(asked)
    for command in commands(PAGE):
        if 'my_reviews' in command:
            _, _, module, *arguments = shlex.split(command)
            importlib.import_module(module).main(arguments)
    results = folder / 'runs' / 'my_reviews' / 'evaluation' / 'my_reviews' / 'results.json'
    found = json.loads(results.read_text())['tasks']['my_reviews']
    assert found['accuracy'] > 0.9 > 0.6 > found['floors']['most_frequent']['accuracy']
    answers = [json.loads(line) for line in (folder / 'answers.jsonl').read_text().splitlines()]
    assert [answer['inputs'] for answer in answers] == [text for text, _ in texts]
    assert sum(answer['prediction'] == right for answer, (_, right) in zip(answers, texts)) >= 18
    assert all(-1 < answer['score'] < 0 for answer in answers)


def test_a_line_without_an_answer_is_named(folder, capsys):
    with (folder / 'data' / 'train.tsv').open('a') as file:
        file.write('\nno answer here\nan empty one\t\n')
    materialise, *_ = (command for command in commands(PAGE) if 'materialise --module=my_reviews' in command)
    with pytest.raises(SystemExit):
        importlib.import_module('llmrec_jax.materialise').main(shlex.split(materialise)[3:])
    said = capsys.readouterr().err
    assert 'data/train.tsv, line 601' in said and '602' in said and 'targets' in said
    assert len(said.splitlines()) == 1 and not (folder / 'data' / 'my_reviews').exists()
