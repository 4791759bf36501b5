import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.collisions import resolve


@pytest.fixture
def table():
    codes, sizes = resolve(np.random.default_rng(0).integers(0, 4, (50, 3), dtype=np.int32), (4, 4, 4))
    return CodeTable(codes, sizes, {'seed': 0, 'encoder': 'words'})


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=20))
def test_items_have_tuples_of_their_own_once_collisions_are_resolved(rows):
    codes, sizes = resolve(np.array(rows, np.int32), (3, 3, 3))
    table = CodeTable(codes, sizes)
    assert len(np.unique(table.codes, axis=0)) == len(rows)


def test_save_and_load(table, tmp_path):
    path = tmp_path / 'made' / 'table.npz'
    table.save(path)
    loaded = CodeTable.load(path)
    np.testing.assert_array_equal(loaded.codes, table.codes)
    assert loaded.codebook_sizes == table.codebook_sizes
    assert loaded.provenance == {'seed': 0, 'encoder': 'words'}
    assert loaded.fingerprint == table.fingerprint
    assert os.listdir(path.parent) == ['table.npz']


def test_fingerprint_follows_codes_and_sizes(table):
    other = table.codes.copy()
    other[[0, 1]] = other[[1, 0]]
    wider = (*table.codebook_sizes[:-1], table.codebook_sizes[-1] + 1)
    prints = {
        table.fingerprint,
        CodeTable(other, table.codebook_sizes).fingerprint,
        CodeTable(table.codes, wider).fingerprint,
    }
    assert len(prints) == 3
    assert CodeTable(table.codes.astype(np.int64), table.codebook_sizes).fingerprint == table.fingerprint


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.npz'):
        CodeTable.load(tmp_path / 'none.npz')


@pytest.mark.parametrize('kept', [0, 10, 0.5, 0.99])
def test_a_file_cut_short_is_refused(table, tmp_path, kept):
    path = tmp_path / 'table.npz'
    table.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match=r'table\.npz holds no complete code table'):
        CodeTable.load(path)


def test_changed_codes_are_refused(table, tmp_path):
    path = tmp_path / 'table.npz'
    table.save(path)
    with np.load(path) as content:
        manifest, codes = content['manifest'], content['codes']
    codes[[0, 1]] = codes[[1, 0]]
    np.savez(path, codes=codes, manifest=manifest)
    with pytest.raises(ValueError, match='not those that were saved'):
        CodeTable.load(path)


def test_a_failed_save_leaves_the_old_table(table, tmp_path):
    path = tmp_path / 'table.npz'
    table.save(path)
    unwritable = CodeTable(table.codes[:3], table.codebook_sizes, {'broken': object()})
    with pytest.raises(TypeError):
        unwritable.save(path)
    assert CodeTable.load(path).fingerprint == table.fingerprint
    assert os.listdir(tmp_path) == ['table.npz']


def test_equal_rows_name_both_items():
    with pytest.raises(ValueError, match=r'items 0 and 2 have the same codes \(1, 1\)'):
        CodeTable(np.array([[1, 1], [0, 1], [1, 1]], np.int32), (2, 2))
