import math

import jax
import numpy as np
import pytest

from llmrec_jax.training.schedules import Constant, InverseSquareRoot, WarmupCosine, WarmupLinear


@pytest.mark.parametrize(
    ('schedule', 'step', 'expected'),
    [
        (Constant(0.3), 0, 0.3),
        (Constant(0.3), 10**6, 0.3),
        (InverseSquareRoot(0.01, 10_000), 0, 0.01),
        (InverseSquareRoot(0.01, 10_000), 10_000, 0.01),
        (InverseSquareRoot(0.01, 10_000), 40_000, 0.005),
        (InverseSquareRoot(0.01, 10_000), 200_000, 0.01 / math.sqrt(20)),
        (WarmupCosine(0.8, 10, 110, 0.1), 0, 0.0),
        (WarmupCosine(0.8, 10, 110, 0.1), 5, 0.4),
        (WarmupCosine(0.8, 10, 110, 0.1), 10, 0.8),
        (WarmupCosine(0.8, 10, 110, 0.1), 35, 0.1 + 0.7 * (1 + math.cos(math.pi / 4)) / 2),
        (WarmupCosine(0.8, 10, 110, 0.1), 110, 0.1),
        (WarmupCosine(0.8, 10, 110, 0.1), 500, 0.1),
        (WarmupLinear(0.8, 10, 110), 5, 0.4),
        (WarmupLinear(0.8, 10, 110), 60, 0.4),
        (WarmupLinear(0.8, 10, 110, 0.2), 110, 0.2),
        (WarmupLinear(0.8, 0, 100), 0, 0.8),
    ],
)
def test_schedules_are_their_closed_forms_with_and_without_jit(schedule, step, expected):
    np.testing.assert_allclose(schedule(step), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jax.jit(schedule)(step), expected, rtol=1e-6, atol=1e-8)


def test_a_warm_up_as_long_as_the_run_is_an_error():
    for schedule in (WarmupCosine, WarmupLinear):
        with pytest.raises(ValueError, match='warmup_steps=10 must lie between 0 and total_steps=10'):
            schedule(1.0, 10, 10)
    with pytest.raises(ValueError, match='constant_steps=0'):
        InverseSquareRoot(0.01, 0)
