"""`python -m llmrec_jax.check_install`, run on installations that are whole, broken or not there."""

import pathlib
import re
import subprocess
import sys

import pytest

from llmrec_jax.installation import declared
from tests.installation.fake_site import REPOSITORY, FakeSite

INSTALL = "python -m pip install --constraint constraints.txt --editable '.'"


@pytest.fixture
def site(tmp_path: pathlib.Path) -> FakeSite:
    return FakeSite(tmp_path / 'site')


def row(output: str, part: str) -> str:
    """The table's line of a part, single-spaced."""
    found = [line for line in output.splitlines() if line.startswith(f'{part} ')]
    assert len(found) == 1, output
    return ' '.join(found[0].split())


def mends(output: str) -> list[str]:
    _, _, lines = output.partition('To mend:\n')
    return [line.strip() for line in lines.splitlines()]


def test_the_environment_of_the_tests_is_good_and_nothing_heavy_is_imported() -> None:
    code = (
        'import sys; from llmrec_jax import check_install; code = check_install.main([]);'
        'print(sorted({"jax", "numpy", "tensorflow", "t5x"} & set(sys.modules))); sys.exit(code)'
    )
    run = subprocess.run(
        [sys.executable, '-c', code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stdout
    assert run.stdout.splitlines()[-1] == '[]'
    assert row(run.stdout, 'jax').endswith(' ok')
    assert row(run.stdout, "TensorFlow for ScaNN's kernels").endswith(' ok')
    assert row(run.stdout, "protobuf for SentencePiece's code").endswith(' ok')


def test_a_whole_installation_ends_with_0_though_optional_parts_are_missing(site: FakeSite) -> None:
    site.install_all()
    run = site.check()
    assert run.returncode == 0, run.stdout + run.stderr
    for part in ('t5x', 'airio', 'jestimator', 'fiddle', 'libtpu', 'jax-cuda13-plugin'):
        assert 'not there, not needed' in row(run.stdout, part)


def test_where_nothing_is_installed_one_line_mends_it(site: FakeSite) -> None:
    run = site.check()
    assert run.returncode == 1
    assert not run.stderr
    assert mends(run.stdout) == [INSTALL]


def test_a_missing_package_is_a_fault(site: FakeSite) -> None:
    site.install_all()
    for entry in site.folder.glob('jax-0.10.2.dist-info/*'):
        entry.unlink()
    (site.folder / 'jax-0.10.2.dist-info').rmdir()
    run = site.check()
    assert run.returncode == 1
    assert row(run.stdout, 'jax') == 'jax not installed <0.12,>=0.10.2, tested 0.10.2 FAULT'
    assert INSTALL in mends(run.stdout)


@pytest.mark.parametrize(('version', 'verdict', 'code'), [('0.9.2', 'FAULT', 1), ('0.11.0', 'note', 0)])
def test_a_version_outside_the_range_is_a_fault_and_an_untested_one_is_said(
    site: FakeSite, version: str, verdict: str, code: int
) -> None:
    site.install_all()
    (site.folder / 'jax-0.10.2.dist-info' / 'METADATA').write_text(f'Name: jax\nVersion: {version}\n')
    run = site.check(TPU_LIBRARY_PATH=sys.executable)
    assert run.returncode == code, run.stdout
    assert row(run.stdout, 'jax') == f'jax {version} <0.12,>=0.10.2, tested 0.10.2 {verdict}'


def test_a_tensorflow_that_scann_was_not_linked_against_is_a_fault(site: FakeSite) -> None:
    site.install_all()
    (site.folder / 'tensorflow-2.20.0.dist-info' / 'METADATA').write_text(
        'Name: tensorflow\nVersion: 2.21.0\n'
    )
    run = site.check()
    assert run.returncode == 1
    assert row(run.stdout, "TensorFlow for ScaNN's kernels").endswith('2.21.0 ~=2.20.0 FAULT')
    assert "python -m pip install 'tensorflow~=2.20.0'" in mends(run.stdout)


@pytest.mark.parametrize(('version', 'code'), [('6.33.6', 1), ('7.36.1', 0), ('8.0.0', 0)])
def test_a_protobuf_older_than_sentencepieces_code_is_a_fault(
    site: FakeSite, version: str, code: int
) -> None:
    site.install_all()
    generated = site.module('sentencepiece') / 'sentencepiece_model_pb2.py'
    generated.write_text('# Generated.\n# Protobuf Python Version: 7.36.1\n')
    site.install('protobuf', version)
    run = site.check()
    assert run.returncode == code, run.stdout
    assert f' {version} >=7.36.1 ' in row(run.stdout, "protobuf for SentencePiece's code")


def test_two_distributions_of_one_package_are_a_fault(site: FakeSite) -> None:
    site.install_all()
    site.install('tfds-nightly', '4.9.2')
    site.install('tensorflow-datasets', '4.9.10')
    run = site.check()
    assert run.returncode == 1
    assert 'FAULT' in row(run.stdout, 'tensorflow_datasets')


def test_missing_bytecode_is_said(site: FakeSite) -> None:
    site.install_all()
    run = site.check(PYTHONDONTWRITEBYTECODE='1')
    assert run.returncode == 0
    assert 'none of jax, tensorflow' in row(run.stdout, 'bytecode')
    (mend,) = mends(run.stdout)
    subprocess.run([sys.executable, *mend.split('#')[0].split()[1:]], check=True)
    assert row(site.check().stdout, 'bytecode') == 'bytecode compiled compiled ok'


def test_t5x_is_a_fault_only_where_it_is_asked_for(site: FakeSite) -> None:
    site.install_all()
    run = site.check('--t5x')
    assert run.returncode == 1
    assert row(run.stdout, 't5x').endswith('FAULT')
    assert mends(run.stdout)[-1] == 'python -m pip install --no-deps --requirement t5x_requirements.txt'


def test_t5x_of_the_tested_commits_is_imported_where_asked_for(site: FakeSite) -> None:
    site.install_all()
    site.install('fiddle', '0.3.1')
    for name, commit in declared.t5x_commits().items():
        site.install(name, '0.1', commit=commit)
    for name in ('train', 'eval', 'infer'):
        (site.folder / 't5x' / f'{name}.py').write_text('')
    run = site.check('--t5x')
    assert run.returncode == 0, run.stdout
    assert row(run.stdout, 't5x').endswith('ok')
    assert 'works works ok' in row(run.stdout, 'import t5x.train, t5x.eval, t5x.infer')

    (site.folder / 't5x' / 'train.py').write_text('import orbax_of_yesterday\n')
    run = site.check('--t5x')
    assert run.returncode == 1
    assert "ModuleNotFoundError: No module named 'orbax_of_yesterday'" in run.stdout
    assert site.check().returncode == 0


def test_another_commit_is_said(site: FakeSite) -> None:
    site.install_all()
    site.install('t5x', '0.1', commit='0' * 40)
    run = site.check()
    assert run.returncode == 0
    assert row(run.stdout, 't5x') == f't5x commit {"0" * 10} commit {declared.t5x_commits()["t5x"][:10]} note'


def test_a_checkout_on_the_path_tells_its_commit(site: FakeSite, tmp_path: pathlib.Path) -> None:
    site.install_all()
    checkout = FakeSite(tmp_path / 'checkout')
    checkout.module('airio')
    git = ['git', '-C', str(checkout.folder), '-c', 'user.name=test', '-c', 'user.email=test@example.com']
    for command in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'A commit']):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True).stdout
    run = site.check(PYTHONPATH=f'{site.folder}:{checkout.folder}')
    assert f'commit {head[:10]}' in row(run.stdout, 'airio')


def test_devices_are_asked_for_only_with_a_flag(site: FakeSite) -> None:
    site.install_all()
    site.module('jax', 'raise RuntimeError("no device in this test")\n')
    assert site.check().returncode == 0
    for flag, part in (('--tpu', 'TPUs that JAX sees'), ('--gpu', 'GPUs that JAX sees')):
        run = site.check(flag)
        assert run.returncode == 1
        assert row(run.stdout, part).endswith('FAULT')
        assert f'{part}: RuntimeError: no device in this test' in run.stdout or 'no device' in row(
            run.stdout, part
        )


def test_devices_that_jax_sees_are_counted(site: FakeSite) -> None:
    site.install_all()
    site.install('libtpu', '0.0.42.1')
    site.module('jax', 'class Chip: device_kind = "TPU v6 lite"\ndef devices(kind): return [Chip()] * 16\n')
    run = site.check('--tpu')
    assert run.returncode == 0, run.stdout
    assert '16 of kind TPU v6 lite' in row(run.stdout, 'TPUs that JAX sees')


@pytest.mark.parametrize(('version', 'flag', 'code'), [('0.0.51', '--tpu', 1), ('0.0.51', None, 0)])
def test_another_libtpu_than_jax_wants_is_said(
    site: FakeSite, version: str, flag: str | None, code: int
) -> None:
    site.install_all()
    site.install('libtpu', version)
    site.module('jax', 'class Chip: device_kind = "TPU v5"\ndef devices(kind): return [Chip()]\n')
    run = site.check(*([flag] if flag else []))
    assert run.returncode == code
    assert f'{version} ==0.0.42.*' in row(run.stdout, 'libtpu')


def test_a_cuda_plugin_of_another_version_than_jaxlib_is_a_fault_where_gpus_are_asked_for(
    site: FakeSite,
) -> None:
    site.install_all()
    site.install('jax-cuda13-plugin', '0.10.1')
    site.module('jax', 'class Chip: device_kind = "H100"\ndef devices(kind): return [Chip()]\n')
    run = site.check('--gpu')
    assert run.returncode == 1
    assert row(run.stdout, 'jax-cuda13-plugin') == 'jax-cuda13-plugin 0.10.1 ==0.10.2, as jaxlib FAULT'
    assert '1 of kind H100' in row(run.stdout, 'GPUs that JAX sees')


def test_a_python_that_is_too_old_is_told_so() -> None:
    # Older Pythons must get as far as the table: nothing of the checker may need a newer syntax to be parsed.
    import ast

    files = [
        REPOSITORY / 'llmrec_jax' / 'check_install.py',
        *(REPOSITORY / 'llmrec_jax' / 'installation').glob('*.py'),
    ]
    assert len(files) > 5
    for file in files:
        text = file.read_text()
        ast.parse(text, feature_version=(3, 8))
        assert file.name == '__init__.py' or 'from __future__ import annotations' in text


def test_declared_commits_and_versions_are_read() -> None:
    assert set(declared.t5x_commits()) == {'t5x', 'airio', 'jestimator'}
    assert all(re.fullmatch('[0-9a-f]{40}', commit) for commit in declared.t5x_commits().values())
    assert declared.tested_versions()['orbax-checkpoint'] == '0.12.8'
