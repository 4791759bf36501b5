"""What is done is not done again, what depends on a change is, and what is not declared cannot be read."""

import dataclasses
import json
from typing import ClassVar

import pytest

from llmrec_jax import marks
from llmrec_jax.runs.artifact import Artifact, json_artifact
from llmrec_jax.runs.execution import execute, fingerprints
from llmrec_jax.runs.record import RecordError, facts_of
from llmrec_jax.runs.run import ArtifactError, Run
from llmrec_jax.runs.stage import Stage, StageError, needs

FIRST, SECOND = json_artifact('first.json'), json_artifact('second.json')


@dataclasses.dataclass(frozen=True)
class First(Stage):
    done: list = marks.without_effect()
    value: int = 1
    watched: int = marks.without_effect(0)
    name: ClassVar[str] = 'first'
    phase: ClassVar[str] = 'prepare'
    writes: ClassVar = (FIRST,)

    def run(self, run):
        self.done.append(self.name)
        run.put(FIRST, self.value)
        return {'value': self.value}


@dataclasses.dataclass(frozen=True)
class Second(Stage):
    done: list = marks.without_effect()
    value: int = 1
    name: ClassVar[str] = 'second'
    phase: ClassVar[str] = 'train'
    reads: ClassVar = (FIRST,)
    writes: ClassVar = (SECOND,)

    def run(self, run):
        self.done.append(self.name)
        run.put(SECOND, run[FIRST] + self.value)
        return {'sum': run[SECOND]}


class Work:
    """A run of the two stages."""

    def __init__(self, root):
        self.root, self.done = root, []

    def stages(self, first=1, second=1, watched=0):
        return [First(done=self.done, value=first, watched=watched), Second(done=self.done, value=second)]

    def execute(self, *args, **changes):
        return execute(Run(self.root), self.stages(**changes), *args)


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def test_finished_stages_are_reused(work):
    work.execute()
    records = work.execute()
    assert work.done == ['first', 'second']
    assert [record.reused for record in records] == [True, True]
    assert records[1].facts == {'sum': 2}
    assert Run(work.root)[facts_of('second')] == {'sum': 2}


def test_a_change_reaches_everything_downstream(work):
    work.execute()
    work.execute(first=2)
    assert work.done == ['first', 'second', 'first', 'second']
    assert Run(work.root)[SECOND] == 3


def test_a_change_leaves_upstream_alone(work):
    work.execute()
    work.execute(second=2)
    assert work.done == ['first', 'second', 'second']


def test_a_marked_field_changes_nothing(work):
    work.execute()
    work.execute(watched=7)
    assert work.done == ['first', 'second']


def test_what_changed_is_named(work, caplog):
    work.execute()
    with caplog.at_level('INFO'):
        work.execute(first=2)
    assert 'First.value: 1 -> 2' in caplog.text


def test_a_lost_output_is_made_again(work):
    work.execute()
    (work.root / 'second.json').unlink()
    work.execute()
    assert work.done == ['first', 'second', 'second']


def test_only_what_is_wanted_runs(work):
    records = work.execute(['first'])
    assert work.done == ['first']
    assert [record.name for record in records] == ['first']


def test_a_missing_need_is_named(work):
    with pytest.raises(StageError, match='--stages=first,second'):
        work.execute(['second'])


def test_an_unknown_stage_is_named(work):
    with pytest.raises(StageError, match="'third'"):
        work.execute(['third'])


def test_a_stage_that_fails_is_not_done_and_runs_again(work):
    work.execute()

    @dataclasses.dataclass(frozen=True)
    class Broken(Second):
        def run(self, run):
            raise ValueError('broken')

    with pytest.raises(ValueError, match='broken'):
        execute(Run(work.root), [work.stages()[0], Broken(done=work.done, value=2)])
    work.execute()
    assert work.done == ['first', 'second', 'second']


def test_a_damaged_record_is_named(work):
    work.execute()
    record = work.root / 'stages' / 'first.json'
    record.write_text(record.read_text()[:20])
    with pytest.raises(RecordError, match=r'first\.json'):
        work.execute()


def test_records_tell_time_memory_and_configuration(work):
    work.execute()
    record = json.loads((work.root / 'stages' / 'first.json').read_text())
    assert record['seconds'] >= 0
    assert record['peak_memory_mb'] > 10
    assert record['config'] == {'class': 'First', 'value': 1}


def test_what_is_read_must_be_declared(work):
    @dataclasses.dataclass(frozen=True)
    class Sneaking(Second):
        reads: ClassVar = ()

    with pytest.raises(ArtifactError):
        execute(Run(work.root), [work.stages()[0], Sneaking(done=work.done)])


def test_what_is_written_must_be_declared(work):
    @dataclasses.dataclass(frozen=True)
    class Spilling(Second):
        writes: ClassVar = ()

    with pytest.raises(ArtifactError):
        execute(Run(work.root), [work.stages()[0], Spilling(done=work.done)])


def test_the_graph_is_what_is_read_and_written(work):
    first, second = work.stages()
    assert needs(second, [first, second]) == ['first']
    with pytest.raises(StageError):
        needs(second, [second, first])
    with pytest.raises(StageError):
        fingerprints([first, first])


def test_two_stages_cannot_write_one_artifact(work):
    @dataclasses.dataclass(frozen=True)
    class Rival(First):
        name: ClassVar[str] = 'rival'

    with pytest.raises(StageError):
        fingerprints([work.stages()[0], Rival(done=work.done)])


def test_an_artifact_lies_in_the_workdir():
    for path in ('/etc/passwd', '../outside.json'):
        with pytest.raises(ValueError):
            Artifact(path, load=lambda found: found)
