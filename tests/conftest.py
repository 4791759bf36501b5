"""Every test runs with jaxtyping's shape checks on and with implicit rank promotion forbidden."""

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator

# Eight virtual devices let the sharding tests run in the same process; must precede the first import of jax.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Tests compile much and compute little, so the compiler is kept from optimising. Emitting a fusion as a whole
# takes it more than twice as long as emitting its operations, and one module a program less than many.
os.environ['XLA_FLAGS'] = ' '.join(
    (
        os.environ.get('XLA_FLAGS', ''),
        '--xla_force_host_platform_device_count=8',
        '--xla_backend_optimization_level=0',
        '--xla_cpu_use_fusion_emitters=false',
        '--xla_cpu_parallel_codegen_split_count=1',
    )
)
# Nobody reads where an operation of a test's program was written.
os.environ.setdefault('JAX_TRACEBACK_IN_LOCATIONS_LIMIT', '0')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# torch loads triton, which ends the process with a segmentation fault where TensorFlow was loaded before it.
if importlib.util.find_spec('triton'):
    importlib.import_module('triton')

import hypothesis
import pytest
from jaxtyping import install_import_hook

install_import_hook('llmrec_jax', 'beartype.beartype')
# How long an example takes says nothing of the code where the machine is shared.
hypothesis.settings.register_profile(
    'shared_machine', deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile('shared_machine')


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the folder of recipes that `tests/systems/test_conformance.py` is to try."""
    parser.addoption('--recipes', metavar='DIR', help='gin files in place of those of gin_configs/')


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collects with the garbage collector off.

    JAX hangs a Python callback on every collection; one that comes while Python 3.11 builds a syntax tree, as
    pytest and the import hook do for every module, ends in 'AST constructor recursion depth mismatch'.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        # A process of tests keeps millions of objects of compiled programs, which a full collection goes
        # through in vain.
        gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True, scope='session')
def _parameters_are_not_drawn_in_vain() -> Iterator[None]:
    """Lets flax compare a parameter with the shape that its initializer is given, and not trace that one.

    At every use of a parameter flax traces its initializer to learn the shape: a fifth of what tracing a T5
    takes. Where the shapes differ, flax has its way and raises its error.
    """
    from flax.core.scope import Scope

    whole = Scope.param

    def param(self, name, init_fn, *init_args, **named):
        if init_args and self.has_variable('params', name):
            value = self.get_variable('params', name)
            if getattr(value, 'shape', None) == init_args[0]:
                self.reserve(name, 'params')
                return value
        return whole(self, name, init_fn, *init_args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scope, 'param', param)
        yield


@pytest.fixture(autouse=True, scope='module')
def _own_tasks() -> Iterator[None]:
    """A name stands for one task in a process, so that each module forgets the tasks that it registered."""
    yield
    if 'tasks.registration' in sys.modules:
        from tasks import registration

        registration.forget('')
