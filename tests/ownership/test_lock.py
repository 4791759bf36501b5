"""Locks held by processes of their own, which import neither JAX nor TensorFlow."""

import dataclasses
import errno
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from llmrec_jax.ownership import lock as lock_module
from llmrec_jax.ownership.lock import InUseError, Lock, beside, in_folder, locked
from llmrec_jax.ownership.owner import Owner

ROOT = pathlib.Path(__file__).parents[2]


def start(folder, *flags, **how):
    command = [sys.executable, '-S', '-m', 'tests.ownership.hold', str(folder), *flags]
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes, **how)


def said(process):
    return process.stdout.readline()


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob('*')
    }


def own(folder, **how):
    return Lock(in_folder(folder), folder, 'a test', **how)


@pytest.mark.parametrize('tries', [6, pytest.param(50, marks=pytest.mark.slow)])
def test_of_two_one_owns_and_the_other_says_who(tmp_path, tries):
    for attempt in range(tries):
        folder = tmp_path / f'run{attempt}'
        one = start(folder)
        time.sleep(random.uniform(0, 0.05))
        other = start(folder)
        words = [said(one), said(other)]
        owner, refused = (one, other) if words[0] == 'owner\n' else (other, one)
        assert sorted(word.split()[0] for word in words) == ['owner', 'refused']
        seconds, told = max(words).removeprefix('refused ').split(' ', 1)
        assert float(seconds) < 1
        assert f'process {owner.pid} on' in told and str(folder) in told
        refused.communicate()
        # However it ends, the next one goes on, also before anybody has asked how it ended.
        owner.kill()
        os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
        own(folder).release()
        owner.communicate()
        assert list(folder.iterdir()) == []


def test_who_is_refused_leaves_no_trace(tmp_path):
    folder = tmp_path / 'run'
    (folder / 'stages').mkdir(parents=True)
    (folder / 'stages' / 'corpus.json').write_text('{}')
    with locked(in_folder(folder), folder, 'a test'):
        before, when = contents(folder), folder.stat().st_mtime_ns
        with pytest.raises(InUseError):
            own(folder)
        assert (contents(folder), folder.stat().st_mtime_ns) == (before, when)
    assert sorted(path.name for path in folder.rglob('*')) == ['corpus.json', 'stages']


def test_a_lock_outlives_its_owner_only_where_both_are_killed(tmp_path):
    lock = in_folder(tmp_path)
    alone = start(tmp_path)
    assert said(alone) == 'owner\n'
    alone.kill()
    alone.communicate()
    deadline = time.monotonic() + 5
    while lock.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)

    group = start(tmp_path, start_new_session=True)
    assert said(group) == 'owner\n'
    os.killpg(group.pid, signal.SIGKILL)
    group.communicate()
    assert lock.exists()
    own(tmp_path).release()
    assert not lock.exists()


def test_who_is_taken_over_ends_and_says_why(tmp_path, capsys):
    former = start(tmp_path, '--quick')
    assert said(former) == 'owner\n'
    taken = own(tmp_path, takeover=True)
    assert f'process {former.pid} on' in capsys.readouterr().err
    _, told = former.communicate(timeout=10)
    assert former.returncode == -signal.SIGKILL
    assert f'process {os.getpid()} on' in told
    taken.release()
    assert list(tmp_path.iterdir()) == []


def elsewhere(folder, silent):
    record = dataclasses.replace(Owner.this_process('a run'), host='far-away', machine='another', pid=1)
    place = in_folder(folder)
    place.write_bytes(record.content())
    os.utime(place, (time.time() - silent,) * 2)
    return place


def test_an_owner_elsewhere_is_known_by_its_beats(tmp_path):
    elsewhere(tmp_path, silent=3)
    before = contents(tmp_path)
    with pytest.raises(InUseError, match='process 1 on far-away.* heard of 3 s ago'):
        own(tmp_path)
    assert contents(tmp_path) == before
    elsewhere(tmp_path, silent=lock_module.DEAD_SECONDS + 1)
    own(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_a_silent_owner_elsewhere_is_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lock_module, 'DEAD_SECONDS', 31)
    elsewhere(tmp_path, silent=30)
    own(tmp_path).release()
    assert 'not heard of for 30 s: waiting' in capsys.readouterr().err
    place = elsewhere(tmp_path, silent=29)
    monkeypatch.setattr(time, 'sleep', lambda seconds: os.utime(place))
    with pytest.raises(InUseError, match='far-away'):
        own(tmp_path)


def test_the_clock_of_the_file_system_counts(tmp_path, monkeypatch):
    # This machine's clock is an hour ahead.
    real = time.time
    monkeypatch.setattr(time, 'time', lambda: real() + 3600)
    elsewhere(tmp_path, silent=3600 + 2)
    with pytest.raises(InUseError, match='far-away'):
        own(tmp_path)


@pytest.mark.parametrize('links', [True, False])
def test_it_holds_without_links_too(tmp_path, monkeypatch, links):
    if not links:

        def link(*_):
            raise OSError(errno.EPERM, 'no links here')

        monkeypatch.setattr(os, 'link', link)
    with locked(beside(tmp_path / 'deep' / 'out.jsonl'), 'out.jsonl', 'a test'):
        assert [path.name for path in (tmp_path / 'deep').iterdir()] == ['.out.jsonl.lock']
        with pytest.raises(InUseError, match='this process itself'):
            Lock(beside(tmp_path / 'deep' / 'out.jsonl'), 'out.jsonl', 'a test')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('content', [b'', b'{"pid": 3}', b'[]', b'\xff'])
def test_a_lock_that_says_nothing_is_judged_by_its_age(tmp_path, content):
    place = in_folder(tmp_path)
    place.write_bytes(content)
    with pytest.raises(InUseError, match='an unknown machine'):
        own(tmp_path)
    os.utime(place, (time.time() - 1000,) * 2)
    own(tmp_path).release()


def test_a_gate_that_a_killed_process_left_is_no_obstacle(tmp_path):
    gate = tmp_path / '.lock.gate'
    # Its number is another process's now.
    gate.write_bytes(dataclasses.replace(Owner.this_process('a run'), started='earlier').content())
    own(tmp_path).release()
    gate.write_bytes(b'')
    os.utime(gate, (time.time() - 60,) * 2)
    own(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_made_go_unless_something_was_written(tmp_path):
    own(tmp_path / 'a' / 'b').release()
    assert list(tmp_path.iterdir()) == []
    lock = own(tmp_path / 'a' / 'b')
    (tmp_path / 'a' / 'c').touch()
    lock.release()
    assert [path.name for path in tmp_path.rglob('*')] == ['a', 'c']


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=re.escape(str(tmp_path / 'file' / 'run'))):
        own(tmp_path / 'file' / 'run')
