"""Launchers ask who works where they are to, before they import what takes seconds."""

import pathlib
import subprocess
import sys

import pytest

from llmrec_jax.ownership.lock import InUseError, beside, in_folder, locked
from llmrec_jax.runs import owned

ROOT = pathlib.Path(__file__).parents[2]
ON_WORKDIRS = ('run', 'train', 'evaluate', 'semantic_ids.__main__')
ON_OUTPUTS = ('infer', 'materialise', 'import_weights', 'export_weights', 'import_adapter')
CODE = """
import importlib, sys, time
workdir, output = sys.argv[1:3]
for name in sys.argv[3].split(','):
    launcher = importlib.import_module(f'llmrec_jax.{name}')
    started = time.monotonic()
    try:
        launcher.main(['--gin_file=nowhere.gin', f'--gin.WORKDIR={workdir}', f'--output={output}'])
    except SystemExit as ended:
        print(name, ended.code, time.monotonic() - started < 1, file=sys.stderr)
slow = ('jax', 'numpy', 'tensorflow', 'gin', 'llmrec_jax.runs.system')
print(*sorted(name for name in slow if name in sys.modules))
"""


def test_every_launcher_says_who_works_there_before_it_imports_anything(tmp_path):
    workdir, output = tmp_path / 'my run', tmp_path / 'out.jsonl'
    names = [*ON_WORKDIRS, *ON_OUTPUTS]
    with locked(in_folder(workdir), workdir, 'a test'), locked(beside(output), output, 'another test'):
        before = sorted(tmp_path.rglob('*'))
        ended = subprocess.run(
            [sys.executable, '-c', CODE, str(workdir), str(output), ','.join(names)],
            cwd=ROOT,
            capture_output=True,
            encoding='utf-8',
        )
        assert sorted(tmp_path.rglob('*')) == before
    told = ended.stderr.splitlines()
    assert told[1::2] == [f'{name} 1 True' for name in names]
    for name, message in zip(names, told[::2], strict=True):
        place, holder = (workdir, 'a test') if name in ON_WORKDIRS else (output, 'another test')
        assert message.startswith(
            f'llmrec_jax.{name.removesuffix(".__main__")}: {place} is in use by {holder}'
        )
    assert ended.stdout.strip() == ''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('arguments', 'workdir'),
    [
        (['--gin_file=a.gin', '--gin.WORKDIR=runs/x'], 'runs/x'),
        (['--gin_file', 'a.gin', '--gin.WORKDIR=1', '--gin.WORKDIR=20240501'], '20240501'),
        (["--gin.WORKDIR='runs (1)/x'"], 'runs (1)/x'),
        (["--gin.WORKDIR=it's"], "it's"),
        (['--gin_file=a.gin', '--gin_file=config.gin'], 'runs/é'),
        (['--gin_file=config.gin', '--gin.WORKDIR=b'], 'b'),
        (['--gin_file=config.gin', '--gin.WORKDIR=%OTHER'], None),
        (['--gin_file=a.gin'], None),
        (['--gin.WORKDIR='], None),
        (['--gin.WORKDIR=gs://bucket/x'], None),
        (['--gin.WORKDIR=x', '--help'], None),
        # Of many processes the first one owns once all have met.
        (['--gin.WORKDIR=x', '--process_index=0'], None),
        (['--gin.WORKDIR=x', '--distributed'], None),
    ],
)
def test_the_workdir_is_told_from_the_command_line(here, arguments, workdir):
    (here / 'a.gin').write_text('WORKDIR = %gin.REQUIRED\n')
    (here / 'config.gin').write_text("X = 1\n# WORKDIR = 'no'\nWORKDIR = 'runs/é'\n", encoding='utf-8')
    with owned.owning_workdir('a test', arguments):
        locks = [path.relative_to(here) for path in here.rglob('.lock')]
    assert locks == ([] if workdir is None else [pathlib.Path(workdir) / '.lock'])
    assert sorted(path.name for path in here.iterdir()) == ['a.gin', 'config.gin']


def test_who_owns_a_workdir_may_ask_for_it_again(here):
    with owned.owning_workdir('a test', ['--gin.WORKDIR=x']):
        with owned.owning(in_folder('x'), 'x', 'the same'):
            pass
        assert in_folder('x').exists()
    assert not in_folder('x').exists()
    owning = owned.owning(in_folder('x'), 'x', 'a test')
    with locked(in_folder('x'), 'x', 'other work'), pytest.raises(InUseError), owning:
        pass


def test_standard_output_is_nobodys(here):
    with owned.owning_output('a test', ['--output=-']), owned.owning_output('a test', []):
        assert list(here.iterdir()) == []
