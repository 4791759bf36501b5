"""T5X trains in a workdir that is its alone."""

import dataclasses
from typing import ClassVar

import pytest

pytest.importorskip('t5x')

from llmrec_jax.ownership.gate import found_at
from llmrec_jax.ownership.lock import InUseError, in_folder
from llmrec_jax.ownership.owner import Owner
from llmrec_jax.runs.artifact import json_artifact
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.system import System
from llmrec_jax.t5x.prepared_run import PreparedRun

WORDS = json_artifact('words.json')


@dataclasses.dataclass(frozen=True)
class Prepare(Stage):
    name: ClassVar[str] = 'prepare'
    phase: ClassVar[Phase] = 'prepare'
    writes: ClassVar = (WORDS,)

    def run(self, run):
        run.put(WORDS, ['a'])
        return {}


@dataclasses.dataclass(frozen=True)
class Train(Stage):
    name: ClassVar[str] = 'train'
    phase: ClassVar[Phase] = 'train'
    reads: ClassVar = (WORDS,)

    def run(self, run):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained(System):
    name: str = 'trained'

    def stages(self):
        return [Prepare(), Train()]

    def report(self, run, records):
        raise NotImplementedError


def run_of(workdir, checkpoints):
    prepared = PreparedRun(None if checkpoints is None else str(checkpoints))
    prepared.__dict__['system'] = Trained(workdir=str(workdir))
    return prepared.run


def elsewhere(folder):
    record = dataclasses.replace(Owner.this_process('a run'), host='far-away', machine='another')
    folder.mkdir(exist_ok=True)
    in_folder(folder).write_bytes(record.content())


def test_it_owns_the_folder_that_the_embedded_engine_would(tmp_path):
    assert run_of(tmp_path, tmp_path / 'checkpoints').has(WORDS)
    assert found_at(in_folder(tmp_path))[0].program == 't5x.train'
    assert not (tmp_path / 'checkpoints').exists()


def test_it_touches_nothing_where_another_run_works(tmp_path):
    elsewhere(tmp_path)
    with pytest.raises(InUseError, match=r'far-away.*--gin\.prepared_run\.PreparedRun\.takeover=True'):
        run_of(tmp_path, tmp_path / 'checkpoints')
    assert [path.name for path in tmp_path.iterdir()] == ['.lock']


def test_it_reads_what_a_run_that_goes_on_has_made(tmp_path):
    made, own = tmp_path / 'made', tmp_path / 'own'
    assert run_of(made, made / 'checkpoints').has(WORDS)
    elsewhere(made)
    assert run_of(made, own / 'checkpoints').has(WORDS)
    # To evaluate owns nothing.
    assert run_of(made, None).has(WORDS)
    assert found_at(in_folder(own))[0].program == 't5x.train'
    elsewhere(tmp_path / 'unmade')
    with pytest.raises(InUseError, match='far-away'):
        run_of(tmp_path / 'unmade', tmp_path / 'third' / 'checkpoints')
