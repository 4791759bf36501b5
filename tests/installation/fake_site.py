"""A folder that plays `site-packages`: metadata of packages that are not there."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
from collections.abc import Sequence

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# What the library itself declares, in short, so that a fake installation can be complete.
REQUIRES = ('jax>=0.10.2,<0.12', 'scann==1.4.2', 'tensorflow==2.20.*', 'fiddle; extra == "t5x"')


class FakeSite:
    """The folder; `install` adds a package, `check` asks `llmrec_jax.check_install` about it."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        # The code alone: a checkout that was installed from holds metadata too, which Python would find.
        self.code = folder.with_name(f'{folder.name}_code')
        self.code.mkdir(parents=True)
        (self.code / 'llmrec_jax').symlink_to(REPOSITORY / 'llmrec_jax')

    def install(
        self, name: str, version: str, requires: Sequence[str] = (), commit: str | None = None
    ) -> None:
        """Adds a package's metadata and an empty module of its name."""
        metadata = self.folder / f'{name.replace("-", "_")}-{version}.dist-info'
        metadata.mkdir(parents=True)
        lines = [f'Name: {name}', f'Version: {version}', *(f'Requires-Dist: {one}' for one in requires)]
        (metadata / 'METADATA').write_text('Metadata-Version: 2.1\n' + '\n'.join(lines) + '\n')
        if commit:
            (metadata / 'direct_url.json').write_text(json.dumps({'vcs_info': {'commit_id': commit}}))
        if name != 'llmrec_jax':
            self.module(name.replace('-', '_'))

    def module(self, name: str, text: str = '') -> pathlib.Path:
        """Adds a package with nothing but its `__init__.py`."""
        package = self.folder / name
        package.mkdir(parents=True, exist_ok=True)
        (package / '__init__.py').write_text(text)
        return package

    def install_all(self) -> None:
        """Adds what the main road needs, in versions that are right."""
        self.install('llmrec_jax', '0.1', REQUIRES)
        self.install('jax', '0.10.2', ['libtpu==0.0.42.*; extra == "tpu"'])
        self.install('jaxlib', '0.10.2')
        self.install('scann', '1.4.2', ['tensorflow~=2.20.0; extra == "tf"'])
        self.install('tensorflow', '2.20.0')
        # The checker compares versions with it, so this one is the real one.
        (self.folder / 'packaging').symlink_to(pathlib.Path(sysconfig.get_path('purelib')) / 'packaging')
        (self.folder / 'packaging-26.0.dist-info').mkdir()
        (self.folder / 'packaging-26.0.dist-info' / 'METADATA').write_text('Name: packaging\nVersion: 26.0\n')

    def check(self, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the checker with no other packages in sight."""
        return subprocess.run(
            [sys.executable, '-S', '-m', 'llmrec_jax.check_install', *flags],
            cwd=self.code,
            env={'PATH': os.environ['PATH'], 'PYTHONPATH': str(self.folder), **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
