import pathlib

import pytest

from tests.tpu_scripts import fake_cloud


@pytest.fixture
def cloud(tmp_path: pathlib.Path) -> fake_cloud.FakeCloud:
    return fake_cloud.make(tmp_path)
