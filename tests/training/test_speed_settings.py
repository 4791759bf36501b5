"""What makes a run fast or says how fast it is: compiler flags, compilation cache, profile, utilisation."""

import dataclasses
import os
import subprocess
import sys

import jax
import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.training import compilation_cache, xla_flags
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.profiling import FlopsCounter
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import VOCABULARY, SmallModel, examples

TRAINER = Trainer(
    steps=4,
    feature_lengths={'inputs': 12, 'targets': 2},
    optimizer=AdamW(Constant(0.01)),
    batch_size=16,
    mesh=MeshShape(data=1),
    log_every=2,
)


def run(program, **environment):
    return subprocess.run(
        [sys.executable, '-c', program],
        env={**os.environ, 'XLA_FLAGS': '', **environment},
        capture_output=True,
        text=True,
    )


def test_flags_go_to_the_accelerators_that_are_installed_and_leave_the_users_own():
    environment = {'LIBTPU_INIT_ARGS': '--xla_enable_async_all_gather=false --mine=1'}
    xla_flags.apply(environment, {'libtpu'}.__contains__)
    flags = environment.pop('LIBTPU_INIT_ARGS').split()
    assert flags[:2] == ['--xla_enable_async_all_gather=false', '--mine=1']
    assert len(flags) == len(xla_flags.TPU_FLAGS) + 1 and environment == {}
    xla_flags.apply(environment, {'jax_cuda12_plugin'}.__contains__)
    assert environment['XLA_FLAGS'].count('--xla_gpu_') == len(xla_flags.GPU_FLAGS)
    unchanged = {}
    xla_flags.apply(unchanged, set().__contains__)
    assert unchanged == {}


MEMORY_OF_STEPS = """
import os, resource, jax, jax.numpy as jnp
from llmrec_jax.training import host_memory
host_memory.keep({'MALLOC_TRIM_THRESHOLD_': '0'})
print(jax.config.read('jax_cpu_enable_async_dispatch'))
host_memory.keep({})
# Its product takes 64 MiB, which are 16,384 pages.
step, vectors = jax.jit(lambda x: jnp.max(x @ x.T)), jnp.ones((4096, 8))
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(vectors).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_a_step_works_in_memory_that_is_kept_unless_the_environment_says_what_malloc_does():
    unchanged, faults = run(MEMORY_OF_STEPS, JAX_PLATFORMS='cpu').stdout.split()
    assert unchanged == 'True' and int(faults) < 1000


def test_this_xla_knows_the_flags_for_gpus_and_ends_at_one_it_does_not_know():
    environment = {}
    xla_flags.apply(environment, {'jax_cuda12_plugin'}.__contains__)
    program = 'import jax; print(jax.numpy.ones(2).sum())'
    assert run(program, **environment).stdout == '2.0\n'
    unknown = run(program, XLA_FLAGS=environment['XLA_FLAGS'] + ' --xla_gpu_no_such_flag=true')
    assert unknown.returncode and 'xla_gpu_no_such_flag' in unknown.stderr


COMPILE_FOR_TPU = """
import jax, numpy as np
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec
devices = topologies.get_topology_desc(platform='tpu', topology_name='v5e:2x2').devices
mesh = jax.sharding.Mesh(np.array(devices), ('data',))
rows = jax.ShapeDtypeStruct((8, 8), 'float32', sharding=NamedSharding(mesh, PartitionSpec('data')))
jax.jit(lambda x: x.T @ x).lower(rows).compile()
"""


def test_libtpu_knows_the_flags_for_tpus():
    pytest.importorskip('libtpu', reason='compiling for a TPU needs libtpu')
    quiet = {'TPU_SKIP_MDS_QUERY': '1', 'ALLOW_MULTIPLE_LIBTPU_LOAD': '1', 'JAX_PLATFORMS': 'cpu'}
    environment = {}
    xla_flags.apply(environment, {'libtpu'}.__contains__)
    done = run(COMPILE_FOR_TPU, **quiet, **environment)
    assert done.returncode == 0, done.stderr
    unknown = f'{environment["LIBTPU_INIT_ARGS"]} --xla_tpu_no_such_flag=true'
    assert run(COMPILE_FOR_TPU, **quiet, LIBTPU_INIT_ARGS=unknown).returncode


def test_programs_are_kept_where_they_belong(tmp_path, monkeypatch):
    compilation_cache.enable({})
    assert jax.config.jax_compilation_cache_dir is None, "a processor's programs are not kept unasked"
    monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
    try:
        compilation_cache.enable({'XDG_CACHE_HOME': str(tmp_path)})
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / 'llmrec_jax' / 'xla')
        compilation_cache.enable({'XDG_CACHE_HOME': str(tmp_path / 'other')})
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / 'llmrec_jax' / 'xla')
    finally:
        jax.config.update('jax_compilation_cache_dir', None)


@pytest.mark.smoke
def test_a_run_logs_its_flops_and_profiles_the_chosen_steps(tmp_path):
    columns = write_columns(tmp_path / 'store', examples(), {})
    model = EncoderDecoderModel(Transformer(T5Config(VOCABULARY, 8, 2, 4, 16, 1, 1)))
    trainer = dataclasses.replace(TRAINER, profile_steps=(2, 3), microbatches=2, length_buckets=(6,))
    trainer.fit(model, columns, tmp_path / 'run')
    rows = read_json_lines(tmp_path / 'run' / 'metrics.jsonl')
    # The batch's longer half needs more FLOPs than its shorter one, and a processor's peak is not known.
    seconds = [16 * 2 / row['examples_per_second'] for row in rows]
    shapes = {
        length: {'encoder_input_tokens': jax.ShapeDtypeStruct((8, length), 'int32')} for length in (6, 12)
    }
    flops = [
        model.train_flops({**part, 'decoder_target_tokens': jax.ShapeDtypeStruct((8, 2), 'int32')})
        for part in shapes.values()
    ]
    for row, taken in zip(rows, seconds, strict=True):
        made = row['model_tflops_per_second'] * 1e12 * taken
        assert 4 * min(flops) * (1 - 1e-6) <= made <= 4 * max(flops) * (1 + 1e-6)
        assert 'model_flops_utilization' not in row
    assert list((tmp_path / 'run' / 'profile').rglob('*.xplane.pb'))


def test_utilisation_is_the_share_of_all_chips_peak():
    class Model:
        def train_flops(self, features):
            return 197 * 10**12

    one, two = ['TPU v5 lite'], ['TPU v5 lite'] * 2
    assert FlopsCounter(Model(), {4: {}}, one).rates(197 * 10**12, 2.0)['model_flops_utilization'] == 0.5
    assert FlopsCounter(Model(), {4: {}}, two).rates(197 * 10**12, 2.0)['model_flops_utilization'] == 0.25
    assert FlopsCounter(SmallModel(), {4: {}}, one).rates(0, 1.0) == {}


@pytest.mark.parametrize('steps', [(0, 2), (3, 2), (1, 5)])
def test_steps_that_cannot_be_profiled_are_an_error(steps):
    with pytest.raises(ValueError, match='must be a first and a last step from 1 to 4'):
        dataclasses.replace(TRAINER, profile_steps=steps)
