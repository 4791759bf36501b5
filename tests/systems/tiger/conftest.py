import shutil

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from llmrec_jax import run
from tests.systems.short_recipe import SHORT


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


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A workdir in which the whole recipe ran."""
    workdir = tmp_path_factory.mktemp('run') / 'shop'
    run.main([*SHORT, f'--gin.WORKDIR={workdir}'])
    # Other tests evaluate anew in the same folder.
    shutil.copy(workdir / 'results.json', workdir / 'first_results.json')
    return workdir
