import json
import os
import pathlib
import platform
import socket

from llmrec_jax.evaluation import environment as environment_module
from llmrec_jax.evaluation.environment import environment
from llmrec_jax.version import __version__


def test_the_environment_says_what_numbers_depend_on_and_not_whose_machine_it_was():
    found = environment(seed=7)
    assert found['seed'] == 7
    assert found['versions']['llmrec_jax'] == __version__
    assert found['versions']['python'] == platform.python_version()
    assert {'jax', 'flax', 'optax', 'numpy'} <= set(found['versions'])
    assert found['machine']['cores'] >= 1
    assert found['machine']['memory_gib'] > 0
    assert found['machine']['accelerators'] == [], 'the virtual CPU devices of the tests are no accelerators'
    written = json.dumps(found)
    assert socket.gethostname() not in written
    assert str(pathlib.Path.home()) not in written
    assert os.getcwd() not in written


def test_the_commit_is_that_of_this_code_or_unknown(monkeypatch, tmp_path):
    found = environment(seed=0)['commit']
    assert found is None or len(found.removesuffix('-dirty')) == 40
    monkeypatch.setenv('PATH', str(tmp_path))
    assert environment_module.commit() is None
