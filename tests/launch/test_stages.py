import json

import pytest

from llmrec_jax.launch.stages import Stage, StageError, run


class Work:
    """Two stages that count how often they ran."""

    def __init__(self, workdir):
        self.workdir = workdir
        self.done = []

    def stages(self, first=1, second=1):
        return [
            Stage('first', (), first, ('first.txt',), lambda _: self._write('first', first)),
            Stage('second', ('first',), second, ('second.txt',), lambda _: self._write('second', second)),
        ]

    def _write(self, name, value):
        self.done.append(name)
        (self.workdir / f'{name}.txt').write_text(str(value))
        return {'value': value}


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def test_finished_stages_are_reused(work):
    run(work.workdir, work.stages())
    records = run(work.workdir, work.stages())
    assert work.done == ['first', 'second']
    assert [record.reused for record in records] == [True, True]
    assert records[1].summary == {'value': 1}


def test_a_change_reaches_everything_downstream(work):
    run(work.workdir, work.stages())
    run(work.workdir, work.stages(first=2))
    assert work.done == ['first', 'second', 'first', 'second']


def test_a_change_leaves_upstream_alone(work):
    run(work.workdir, work.stages())
    run(work.workdir, work.stages(second=2))
    assert work.done == ['first', 'second', 'second']


def test_a_lost_output_is_made_again(work):
    run(work.workdir, work.stages())
    (work.workdir / 'second.txt').unlink()
    run(work.workdir, work.stages())
    assert work.done == ['first', 'second', 'second']


def test_only_what_is_wanted_runs(work):
    records = run(work.workdir, work.stages(), ['first'])
    assert work.done == ['first']
    assert [record.name for record in records] == ['first']


def test_a_missing_need_is_named(work):
    with pytest.raises(StageError, match="'second' needs 'first'.*--stages=first,second"):
        run(work.workdir, work.stages(), ['second'])


def test_an_unknown_stage_is_named(work):
    with pytest.raises(StageError, match="no stage 'third'; the stages are first, second"):
        run(work.workdir, work.stages(), ['third'])


def test_a_stage_that_fails_is_not_done_and_runs_again(work):
    run(work.workdir, work.stages())

    def fail(_):
        raise ValueError('broken')

    broken = Stage('second', ('first',), 2, ('second.txt',), fail)
    with pytest.raises(ValueError, match='broken'):
        run(work.workdir, [work.stages()[0], broken])
    run(work.workdir, work.stages())
    assert work.done == ['first', 'second', 'second']


def test_a_damaged_record_is_named(work):
    run(work.workdir, work.stages())
    record = work.workdir / 'stages' / 'first.json'
    record.write_text(record.read_text()[:20])
    with pytest.raises(StageError, match=r'first\.json is not a stage record'):
        run(work.workdir, work.stages())


def test_records_tell_time_and_memory(work):
    run(work.workdir, work.stages())
    record = json.loads((work.workdir / 'stages' / 'first.json').read_text())
    assert record['seconds'] >= 0
    assert record['peak_memory_mb'] > 10
