"""The floors of P5's tasks that are answered in words: fitted on training answers alone."""

import collections
import dataclasses
import json

import numpy as np
import pytest

from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.prompts.p5.data import P5
from llmrec_jax.prompts.p5.groups import P5Prompts
from llmrec_jax.stages.prompt_evaluation.fit_baselines import fitted_baselines
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tasks.p5 import P5Tasks
from tests.prompts.corpora import corpus_of

USERS, ITEMS, EVENTS = 12, 25, 7
STARS = np.random.default_rng(1).choice([1.0, 2.0, 4.0, 5.0], (USERS, EVENTS), p=[0.1, 0.2, 0.3, 0.4])
WORDS = ('sound', 'strings', 'wood', 'colour', 'weight')
REVIEWS = [f'I like the {WORDS[event % 5]}.' for event in range(USERS * EVENTS)]


@dataclasses.dataclass(frozen=True)
class Source:
    """A corpus that is in memory, as a source."""

    name: str


@pytest.fixture(scope='module')
def floors():
    rng = np.random.default_rng(0)
    histories = [rng.permutation(ITEMS)[:EVENTS].tolist() for _ in range(USERS)]
    titles = [f'title {row}' for row in range(ITEMS)]
    corpus = corpus_of(histories, titles, reviews=REVIEWS, stars=STARS.reshape(-1).tolist())
    tasks = P5Tasks(
        corpus=Source('test/corpus'),
        data_dir='',
        workdir='',
        vocabulary=TrainedVocabulary(size=420),
        p5=P5(prompts=P5Prompts(candidates=5)),
        transfer_to=Source('test/other'),
    )
    other = dataclasses.replace(corpus, name='test/other')
    return fitted_baselines(tasks.build_over(corpus, other), USERS, ITEMS)


def named(floors, template):
    (found,) = (floor for name, floor in floors[0].items() if name.endswith(f'_{template.replace("-", "_")}'))
    return found


def test_every_task_that_is_answered_in_words_has_floors(floors):
    found, without = floors
    assert without == []
    # Of the 47 + 7 templates those that ask for items or rank them have floors of another kind.
    assert len(found) == 10 + 2 + 12 + 4 + 7


def test_means_are_those_of_training_ratings_without_their_noise(floors):
    training = STARS[:, :-2]
    means = named(floors, '1-6').means
    assert means['global_mean'].mean == pytest.approx(training.mean())
    user = means['user_mean']
    assert user.mean + user.of_user == pytest.approx(training.mean(axis=1))
    assert 'user_item_mean' in means


def test_the_frequent_answers_are_those_of_training(floors):
    liked = collections.Counter(STARS[:, :-2].reshape(-1) >= 4)
    assert liked[True] > liked[False]
    assert named(floors, '1-9').text.text == 'like'
    said = collections.Counter(np.reshape(REVIEWS, (USERS, EVENTS))[:, :-2].reshape(-1).tolist())
    found = named(floors, '3-3').text.text
    assert said[found] == max(said.values())


def test_a_held_out_template_has_the_floors_of_those_that_training_shows(floors):
    for held_out, seen in (('1-10', '1-6'), ('3-12', '3-3'), ('4-4', '4-2')):
        assert named(floors, held_out).as_json() == named(floors, seen).as_json()


def test_on_another_corpus_nothing_is_known_of_items(floors):
    for transferred, own in (('Z-2', '1-6'), ('Z-1', '1-9'), ('Z-5', '3-3')):
        known = named(floors, own)
        assert known.knows_items and not named(floors, transferred).knows_items
        assert named(floors, transferred).as_json() == {**known.as_json(), 'knows_items': False}


@pytest.mark.parametrize(('template', 'answer'), [('1-6', 'stars'), ('1-9', 'like'), ('3-3', 'sentence')])
def test_floors_come_back_from_json(floors, template, answer):
    floor = named(floors, template)
    kept = json.loads(json.dumps(floor.as_json()))
    assert answer_kind(answer).load_baselines(kept).as_json() == floor.as_json()
