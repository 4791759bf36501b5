import shutil

import pytest

from llmrec_jax import run
from tests.launch.short_recipe import SHORT


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A workdir in which the whole recipe ran."""
    workdir = tmp_path_factory.mktemp('run') / 'shop'
    run.main([*SHORT, f'--gin.WORKDIR={workdir}'])
    # Other tests evaluate anew in the same folder.
    shutil.copy(workdir / 'results.json', workdir / 'first_results.json')
    return workdir
