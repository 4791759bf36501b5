import time

import numpy as np
import pytest

from llmrec_jax.evaluation.serving import Latency, Serving, built_index, timed_requests


def test_requests_are_timed_without_the_warm_up():
    asked = []

    def request(number):
        # What compiles at first would be the slowest by far.
        time.sleep(0.2 if not asked else 0.002)
        asked.append(number)

    latency = timed_requests(request, requests=5, users=3)
    assert asked == [0, 0, 1, 2, 3, 4]
    assert 0.002 <= latency.median <= latency.p95
    assert (latency.requests, latency.users) == (5, 3)
    # Quantiles of five requests, of which none is the warm-up.
    assert latency.median < 0.2


def test_quantiles_and_what_is_left_out():
    latency = Latency.of(np.arange(1.0, 102.0), users=1)
    assert (latency.median, latency.p95) == (51, pytest.approx(96))
    assert set(Serving(None, latency).as_dict()) == {'full_list'}
    assert Serving(latency, latency).as_dict()['first_token'] == latency.as_dict()
    with pytest.raises(ValueError, match='no request was timed'):
        Latency.of(np.zeros(0), users=1)


def test_an_index_costs_the_memory_it_keeps():
    # Ones, because pages of zeros are not held before they are written.
    built, cost = built_index(lambda: np.ones(8_000_000))
    assert len(built) == 8_000_000
    assert cost.build_seconds > 0
    assert cost.peak_memory_mb == pytest.approx(61, abs=15)
