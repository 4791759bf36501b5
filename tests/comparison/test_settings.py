"""Settings and seeds of a run, by the records of its stages."""

from llmrec_jax.comparison.settings import differences, seeds, settings, values_by_path
from llmrec_jax.runs.record import StageRecord


def record(name, config):
    return StageRecord(name, 'f', config, 1.0, 1.0, {})


RECORDS = [
    record('corpus', {'class': 'PrepareCorpus', 'corpus': {'name': 'shop', 'settings': {'seed': 7}}}),
    record(
        'train',
        {
            'class': 'Train',
            'trainer': {'class': 'Trainer', 'seed': 3, 'steps': 20, 'rates': [0.1, 0.2]},
            'parts': [{'class': 'Part', 'example_seed': 4, 'width': 2}],
            'start': None,
        },
    ),
]


def test_seeds_of_configured_classes_stand_apart_and_a_corpus_keeps_its_own():
    assert seeds(RECORDS) == {'train.trainer.seed': 3, 'train.parts.0.example_seed': 4}
    found = settings(RECORDS)
    assert found['corpus.corpus.settings.seed'] == 7
    assert found['train.trainer.rates'] == [0.1, 0.2] and found['train.start'] is None
    assert not any(path in found for path in seeds(RECORDS))


def test_what_differs_is_told_once_by_the_end_of_its_path():
    one = {'train.trainer.steps': 20, 'evaluate.trainer.steps': 20, 'train.width': 1, 'train.same': 0}
    other = {'train.trainer.steps': 40, 'evaluate.trainer.steps': 40, 'train.depth': 2, 'train.same': 0}
    assert differences([one, other]) == [
        {'trainer.steps': 20, 'train.width': 1},
        {'trainer.steps': 40, 'train.depth': 2},
    ]


def test_two_places_that_end_alike_and_differ_otherwise_are_both_told():
    one = {'pretrain.trainer.steps': 1, 'train.trainer.steps': 2}
    other = {'pretrain.trainer.steps': 1.5, 'train.trainer.steps': 3}
    assert differences([one, other]) == [
        {'trainer.steps': 1, 'train.trainer.steps': 2},
        {'trainer.steps': 1.5, 'train.trainer.steps': 3},
    ]


def test_values_of_plain_json_are_found_by_their_paths():
    assert values_by_path({'a': {'b': 1, 'c': {}}, 'd': [1, 2]}) == {'a.b': 1, 'a.c': {}, 'd': [1, 2]}
