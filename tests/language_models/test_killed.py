import collections
import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from llmrec_jax.language_models.language_model import SamplingSettings, TextRequest
from tests.language_models.local_chat_server import chat_server, prompts_asked

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROMPTS = [f'prompt {number}' for number in range(40)]


def start(server, path):
    command = [sys.executable, '-m', 'tests.language_models.ask_stored', server.url, str(path)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stored_prompts(path):
    keys = {TextRequest(prompt, SamplingSettings(8)).key('echo'): prompt for prompt in PROMPTS}
    *whole, _ = path.read_bytes().split(b'\n') if path.exists() else [b'']
    return [keys[json.loads(line)['key']] for line in whole]


@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGINT])
def test_what_is_stopped_goes_on_where_it_was_and_pays_for_nothing_twice(tmp_path, how):
    path = tmp_path / 'responses.jsonl'
    with chat_server() as server:
        server.seconds = 0.1
        victim = start(server, path)
        while len(stored_prompts(path)) < 9:
            assert victim.poll() is None, victim.stderr.read()
            time.sleep(0.01)
        victim.send_signal(how)
        victim.communicate()
        assert victim.returncode != 0
        before = stored_prompts(path)
        asked_before = prompts_asked(server)
        assert 9 <= len(before) < 40
        if how == signal.SIGINT:
            # What was under way was waited for.
            assert sorted(before) == sorted(asked_before)
        second = start(server, path)
        printed, _ = second.communicate()
        assert printed.splitlines() == [prompt.upper() for prompt in PROMPTS]
        asked_after = prompts_asked(server)[len(asked_before) :]
    assert set(asked_after) == set(PROMPTS) - set(before)
    twice = [prompt for prompt, times in collections.Counter(asked_before + asked_after).items() if times > 1]
    assert len(twice) <= 4
    assert sorted(stored_prompts(path)) == sorted(PROMPTS)
