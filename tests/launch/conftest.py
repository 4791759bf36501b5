import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(scope='session')
def programs_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('programs')


@pytest.fixture(scope='package', autouse=True)
def programs(programs_dir):
    """Keeps compiled programs for the launchers that other tests start, which need the same ones."""
    settings = {
        'jax_compilation_cache_dir': str(programs_dir),
        'jax_persistent_cache_min_compile_time_secs': 0.1,
    }
    before = {name: getattr(jax.config, name) for name in settings}

    def configure(values):
        for name, value in values.items():
            jax.config.update(name, value)
        # JAX decides once whether it keeps programs.
        compilation_cache.reset_cache()

    configure(settings)
    yield
    configure(before)
