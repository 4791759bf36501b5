"""What a workdir says of its run, and whose it is."""

import dataclasses
import json
from typing import ClassVar

import pytest

from llmrec_jax.runs import command_line
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import System


@dataclasses.dataclass(frozen=True)
class Made(Stage):
    name: ClassVar[str] = 'made'
    phase: ClassVar[str] = 'prepare'

    def run(self, run):
        return {}


@dataclasses.dataclass(frozen=True)
class Measured(Stage):
    fails: bool = False
    name: ClassVar[str] = 'measured'
    phase: ClassVar[str] = 'evaluate'

    def run(self, run):
        if self.fails:
            raise ValueError('there is no such mixture')
        return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measuring(System):
    fails: bool = False

    def stages(self):
        return [Made(), Measured(fails=self.fails)]

    def report(self, run, records):
        (run.root / 'results.json').write_text('{}')


@pytest.fixture
def configuration(monkeypatch):
    """What gin says is in force."""
    told = {'text': 'first'}
    monkeypatch.setattr(command_line.gin_config, 'operative_config', lambda: told['text'])
    return told


def run(root, name='one', wanted=None, **changes):
    system = Measuring(workdir=str(root), name=name, **changes)
    system.report(*command_line.run_stages(system, wanted))


def test_a_question_that_fails_leaves_the_configuration_of_the_run(tmp_path, configuration):
    run(tmp_path)
    configuration['text'] = 'wrong'
    with pytest.raises(ValueError):
        run(tmp_path, wanted=['measured'], fails=True)
    assert (tmp_path / 'config.gin').read_text() == 'first'
    configuration['text'] = 'right'
    run(tmp_path, wanted=['measured'])
    assert (tmp_path / 'config.gin').read_text() == 'right'


def test_what_is_being_made_has_its_configuration_beside_it(tmp_path, configuration):
    with pytest.raises(ValueError):
        run(tmp_path, fails=True)
    assert (tmp_path / 'config.gin').read_text() == 'first'


def test_another_system_does_not_replace_results(tmp_path, configuration):
    run(tmp_path)
    configuration['text'] = 'another'
    for wanted in (None, ['made']):
        with pytest.raises(ValueError):
            run(tmp_path, name='two', wanted=wanted)
    assert (tmp_path / 'config.gin').read_text() == 'first'
    (tmp_path / 'results.json').unlink()
    run(tmp_path, name='two')
    assert json.loads((tmp_path / 'system.json').read_text()) == {'system': 'two'}
