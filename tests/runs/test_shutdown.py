"""What a process says when it ends, and what it says when it could not."""

import subprocess
import sys

import pytest

from llmrec_jax.runs import shutdown
from llmrec_jax.training import processes

DYING = """
import os, signal, sys
from llmrec_jax.runs.shutdown import LastWords
words = LastWords('gone')
if sys.argv[1] == 'well':
    words.take_back()
os.kill(os.getpid(), signal.SIGABRT)
"""


@pytest.mark.parametrize(('how', 'said'), [('badly', 'gone\n'), ('well', '')])
def test_last_words_are_heard_unless_taken_back(how, said):
    assert subprocess.run([sys.executable, '-c', DYING, how], capture_output=True, text=True).stderr == said


def test_an_error_for_the_user_becomes_a_message(capsys):
    with pytest.raises(SystemExit) as ended, shutdown.errors_as_messages('program'):
        raise ValueError('the batch is too large')
    assert ended.value.code == 1
    assert capsys.readouterr().err == 'program: the batch is too large\n'


def test_a_mistake_of_the_library_keeps_its_traceback():
    with pytest.raises(KeyError), shutdown.errors_as_messages('program'):
        raise KeyError('x')


def test_a_process_alone_knows_what_all_know(tmp_path):
    assert processes.from_first(lambda: (1, 2)) == (1, 2)
    assert processes.from_all('x') == ['x']
    assert processes.is_first()


def test_a_workdir_that_is_not_shared_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, 'VISIBLE_SECONDS', 0.0)
    processes.check_visible(tmp_path)
    with pytest.raises(processes.ProcessError, match='must lie on a file system that all hosts share'):
        processes.check_visible(tmp_path / 'written_elsewhere')


def test_ctrl_c_becomes_one_line(capsys):
    with pytest.raises(SystemExit) as ended, shutdown.errors_as_messages('program'):
        raise KeyboardInterrupt('stopped at step 3')
    assert ended.value.code == 130
    assert capsys.readouterr().err == 'program: stopped at step 3\n'
