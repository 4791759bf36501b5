import threading
import time

import pytest

from llmrec_jax.language_models.workers import results


def test_a_slow_caller_holds_back_what_is_begun():
    begun, finished = [], 0
    for _ in results(lambda given: begun.append(given) or given, range(40), 4, threading.Event()):
        time.sleep(0.005)
        assert len(begun) - finished <= 4
        finished += 1
    assert sorted(begun) == list(range(40)) and finished == 40


@pytest.mark.parametrize('leaves', [True, False])
def test_no_thread_is_left_when_the_caller_goes_or_asking_fails(leaves):
    def ask(given):
        if given == 20 and not leaves:
            raise OSError('no space')
        return given

    before = set(threading.enumerate())
    answers = results(ask, range(40), 4, threading.Event())
    if leaves:
        next(answers)
        answers.close()
    else:
        with pytest.raises(OSError, match='no space'):
            list(answers)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive()
