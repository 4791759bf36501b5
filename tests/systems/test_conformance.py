"""What every recipe must be, whichever system it configures; recipes are found by their place.

    python -m pytest tests/systems/test_conformance.py --recipes=my_recipes

tries the gin files of a folder of your own.
"""

import dataclasses
import pathlib

import pytest

from llmrec_jax.corpora.amazon_reviews_2014 import AmazonReviews2014
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.runs.execution import fingerprints
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import System, named
from llmrec_jax.stages.train import Train
from tests.recipes import CONFIGS, load_with_stand_ins, recipes
from tests.systems.perturbed import another, changed, settings

# A report reads them whenever it is written, so that no stage need run again.
# Floors are measured with seen items kept and removed, and the report shows one of the two first.
REPORTED = (('ranking', 'ks'), ('ranking', 'seed'), ('ranking', 'seen_items'))


def pytest_generate_tests(metafunc):
    given = metafunc.config.getoption('--recipes')
    found = recipes(CONFIGS) if given is None else sorted(pathlib.Path(given).glob('*.gin'))
    marks = []
    if given is None and metafunc.function is test_each_setting_decides_a_result_or_is_marked:
        # Changing each setting takes minutes; a smoke recipe has the settings of its system.
        found, marks = [path for path in found if path.name == 'smoke.gin'], [pytest.mark.smoke]
    metafunc.parametrize(
        'recipe',
        [pytest.param(str(path), id=str(path).split('gin_configs/')[-1], marks=marks) for path in found],
    )


@pytest.fixture
def system(recipe, tmp_path, monkeypatch) -> System:
    # Files that a publisher has and this machine has not.
    for source in (MovieLens, AmazonReviews2014):
        monkeypatch.setattr(source, 'input_files', lambda source: {})
    return load_with_stand_ins(recipe, tmp_path)


def test_its_stages_are_a_graph(system):
    stages = system.stages()
    assert all(isinstance(stage, Stage) for stage in stages)
    assert all(stage.phase in ('prepare', 'train', 'evaluate') for stage in stages)
    assert len(fingerprints(stages)) == len(stages)


def test_a_named_checkpoint_is_asked_without_any_training(system):
    trained = {stage.name for stage in system.stages() if isinstance(stage, Train)}
    measuring = {name for name in named(system, ('evaluate',)) if name not in trained}
    asked = dataclasses.replace(system, checkpoint='elsewhere/checkpoint_3')
    before, after = fingerprints(system.stages()), fingerprints(asked.stages())
    assert all(before[name] == after[name] for name in before if name not in measuring)


def test_each_setting_decides_a_result_or_is_marked(system):
    before = fingerprints(system.stages())
    silent = []
    for path, value, marked in settings(system):
        if marked or path[:2] in REPORTED:
            continue
        other = changed(system, path, another(value))
        try:
            after = fingerprints(other.stages())
        except (ValueError, TypeError, KeyError, AttributeError, OSError, RuntimeError):
            # The setting is read, and does not fit the others.
            continue
        if after == before:
            silent.append('.'.join(map(str, path)))
    assert not silent, f'mark them by llmrec_jax.marks, or let them reach a stage: {silent}'
