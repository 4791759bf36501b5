import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.training.columns import ColumnError, ColumnStore, write_columns

ROWS = st.lists(st.lists(st.integers(-5, 2**31 - 1), max_size=6), min_size=1, max_size=12)


@pytest.fixture
def directory(tmp_path):
    write_columns(
        tmp_path / 'columns',
        {'inputs': [[3, 4, 5], [6], []], 'targets': [[7, 8], [9, 10], [11, 12]]},
        {'task': 'tiny'},
    )
    return tmp_path / 'columns'


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, data=st.data())
def test_what_is_written_is_read_padded(tmp_path_factory, rows, data):
    store = write_columns(tmp_path_factory.mktemp('columns') / 'store', {'inputs': rows}, {})
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)), np.int64)
    width = max(map(len, rows)) + data.draw(st.integers(0, 3))
    batch = store.batch(chosen, {'inputs': width})['inputs']
    assert batch.dtype == np.int32
    assert batch.tolist() == [rows[row] + [0] * (width - len(rows[row])) for row in chosen]


def test_takes_values_and_offsets_as_they_are(tmp_path):
    sequences = Sequences(np.array([1, 2, 3]), np.array([0, 1, 3]))
    store = write_columns(tmp_path / 'store', {'inputs': sequences}, {})
    assert store.batch(np.array([1, 0]), {'inputs': 2})['inputs'].tolist() == [[2, 3], [1, 0]]


def test_knows_its_lengths_features_and_provenance(directory):
    store = ColumnStore.open(directory)
    assert (len(store), store.features) == (3, ('inputs', 'targets'))
    assert store.lengths('inputs').tolist() == [3, 1, 0]
    assert store.manifest['provenance'] == {'task': 'tiny'}


def test_fingerprint_follows_the_values_alone(directory, tmp_path):
    rows = {'inputs': [[3, 4, 5], [6], []], 'targets': [[7, 8], [9, 10], [11, 12]]}
    same = write_columns(tmp_path / 'same', rows, {'task': 'of another name'})
    other = write_columns(tmp_path / 'other', {**rows, 'inputs': [[3, 4], [5, 6], []]}, {})
    fingerprint = ColumnStore.open(directory).fingerprint
    assert (same.fingerprint == fingerprint, other.fingerprint == fingerprint) == (True, False)


def test_rewriting_replaces_the_store_and_leaves_nothing_beside_it(directory):
    write_columns(directory, {'inputs': [[1]]}, {})
    assert ColumnStore.open(directory).features == ('inputs',)
    assert [path.name for path in directory.parent.iterdir()] == ['columns']


def test_a_failed_write_leaves_the_old_store(directory):
    with pytest.raises(ColumnError, match='32 bits'):
        write_columns(directory, {'inputs': [[2**40]]}, {})
    assert len(ColumnStore.open(directory)) == 3


@pytest.mark.parametrize('file', ['inputs.values.npy', 'targets.offsets.npy'])
def test_a_truncated_file_is_named(directory, file):
    path = directory / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ColumnError, match=f'{file}: damaged .* write the examples again'):
        ColumnStore.open(directory)


def test_a_flipped_bit_is_found(directory):
    path = directory / 'inputs.values.npy'
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ColumnError, match='inputs.values.npy: damaged'):
        ColumnStore.open(directory)


def test_missing_files_are_named(directory, tmp_path):
    (directory / 'inputs.values.npy').unlink()
    with pytest.raises(ColumnError, match='inputs.values.npy: not found'):
        ColumnStore.open(directory)
    with pytest.raises(ColumnError, match='manifest.json: not found'):
        ColumnStore.open(tmp_path / 'nowhere')


def test_a_manifest_that_is_no_manifest_is_named(directory):
    manifest = json.loads((directory / 'manifest.json').read_text())
    (directory / 'manifest.json').write_text(json.dumps({**manifest, 'format': 99}))
    with pytest.raises(ColumnError, match='format 99, expected 1'):
        ColumnStore.open(directory)
    (directory / 'manifest.json').write_text('{"format":')
    with pytest.raises(ColumnError, match='manifest.json: not JSON'):
        ColumnStore.open(directory)


def test_a_feature_that_is_not_there_is_an_error_that_lists_those_that_are(directory):
    store = ColumnStore.open(directory)
    for ask in (lambda: store.lengths('input'), lambda: store.batch(np.array([0]), {'input': 3})):
        with pytest.raises(ColumnError, match="no feature 'input'; the features there are inputs, targets"):
            ask()


def test_a_row_longer_than_asked_for_is_an_error_that_names_it(directory):
    with pytest.raises(ColumnError, match="row 0 of feature 'inputs' has 3 tokens, more than the 2"):
        ColumnStore.open(directory).batch(np.array([1, 0]), {'inputs': 2})


@pytest.mark.parametrize('features', [{'inputs': []}, {'inputs': [[1]], 'targets': [[1], [2]]}])
def test_features_need_equally_many_rows(tmp_path, features):
    with pytest.raises(ColumnError, match='same number of rows, at least one'):
        write_columns(tmp_path / 'store', features, {})
    assert not (tmp_path / 'store').exists()


def test_values_must_be_integers(tmp_path):
    with pytest.raises(ColumnError, match="'inputs': values must be integers, got float64"):
        write_columns(tmp_path / 'store', {'inputs': [[1.5]]}, {})
