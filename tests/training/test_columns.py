import itertools
import json
import pickle
from collections import Counter

import grain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.training import columns
from llmrec_jax.training.column_files import BLOCK_BYTES
from llmrec_jax.training.column_writer import Block, ColumnWriter
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
@given(rows=ROWS, shards=st.integers(1, 5), data=st.data())
def test_what_is_written_is_read_padded(tmp_path_factory, rows, shards, data):
    store = write_columns(tmp_path_factory.mktemp('columns') / 'store', {'inputs': rows}, {}, shards)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)), np.int64)
    width = max(map(len, rows)) + data.draw(st.integers(0, 3))
    batch = store.batch(chosen, {'inputs': width})['inputs']
    assert batch.dtype == np.int32
    assert batch.tolist() == [rows[row] + [0] * (width - len(rows[row])) for row in chosen]
    assert [store[int(row)]['inputs'].tolist() for row in chosen] == [rows[row] for row in chosen]
    assert store.lengths('inputs', chosen).tolist() == [len(rows[row]) for row in chosen]
    assert store.length_counts('inputs') == Counter(map(len, rows))
    longest, row = store.longest('inputs')
    assert (longest, row) == (max(map(len, rows)), [*map(len, rows)].index(max(map(len, rows))))


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, cuts=st.lists(st.integers(0, 12), max_size=3), shards=st.integers(1, 4))
def test_neither_blocks_nor_shards_change_the_examples(tmp_path_factory, rows, cuts, shards):
    folder = tmp_path_factory.mktemp('columns')
    at_once = write_columns(folder / 'at_once', {'inputs': rows}, {})
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    with ColumnWriter(folder / 'in_blocks', ['inputs'], shards) as writer:
        for start, stop in itertools.pairwise(bounds):
            part = rows[start:stop]
            values = np.array([token for row in part for token in row], np.int64)
            writer.append({'inputs': Block(values, np.array([len(row) for row in part], np.int64))})
        writer.finish({})
    in_blocks = ColumnStore.open(folder / 'in_blocks')
    assert in_blocks.fingerprint == at_once.fingerprint
    assert [store['inputs'].tolist() for store in map(in_blocks.__getitem__, range(len(rows)))] == rows
    assert [path.name for path in folder.iterdir() if path.suffix] == []


def test_an_unfinished_store_leaves_nothing(tmp_path):
    with ColumnWriter(tmp_path / 'store', ['inputs']) as writer:
        writer.append({'inputs': Block(np.array([1]), np.array([1]))})
    assert not list(tmp_path.iterdir())


def test_grain_reads_it_shuffled_and_in_other_processes(directory):
    store = ColumnStore.open(directory)
    found = [row['inputs'].tolist() for row in grain.MapDataset.source(store).shuffle(seed=1)]
    assert sorted(found) == [[], [3, 4, 5], [6]]
    copy = pickle.loads(pickle.dumps(store))
    assert copy.directory == store.directory and copy[1]['targets'].tolist() == [9, 10]


def test_scalars_are_one_a_row(directory, tmp_path):
    store = write_columns(tmp_path / 'store', {'user': [[7], [5], [6]]}, {}, num_shards=2)
    assert store.scalars('user').tolist() == [7, 5, 6]
    with pytest.raises(ColumnError, match="row 0 .*'inputs'"):
        ColumnStore.open(directory).scalars('inputs')


def test_a_store_in_memory_reads_like_one_on_disk(directory):
    store, rows = ColumnStore.open(directory), np.array([2, 0])
    memory = ColumnStore.in_memory({'inputs': [[3, 4, 5], [6], []]})
    assert (memory.batch(rows, {'inputs': 3})['inputs'] == store.batch(rows, {'inputs': 3})['inputs']).all()
    assert memory.longest('inputs') == store.longest('inputs')
    assert memory.length_counts('inputs') == store.length_counts('inputs')


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


FILES = ('inputs.values-00000-of-00001', 'targets.offsets-00000-of-00001', 'checksums-00000-of-00001')


@pytest.mark.parametrize('file', FILES)
def test_a_truncated_file_is_named(directory, file):
    path = directory / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ColumnError, match=f'{file}'):
        ColumnStore.open(directory)


@pytest.mark.parametrize('file', FILES)
def test_a_flipped_bit_is_found(directory, file):
    path = directory / file
    flip(path, -1)
    with pytest.raises(ColumnError, match=f'{file}'):
        ColumnStore.open(directory)


def flip(path, byte):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)


def test_a_large_store_is_checked_where_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, 'CHECKED_AT_OPEN_BYTES', 0)
    long = np.arange(3 * BLOCK_BYTES // 4)
    write_columns(tmp_path / 'store', {'inputs': [[1], [2, 3], long, [4]]}, {})
    flip(tmp_path / 'store' / FILES[0], BLOCK_BYTES + 5)
    store = ColumnStore.open(tmp_path / 'store')
    assert store.batch(np.array([1, 0, 3]), {'inputs': 2})['inputs'].tolist() == [[2, 3], [1, 0], [4, 0]]
    for read in (lambda: store[2], store.check):
        with pytest.raises(ColumnError, match=f'{FILES[0]}.*byte 65536'):
            read()


def test_missing_files_are_named(directory, tmp_path):
    (directory / FILES[0]).unlink()
    with pytest.raises(ColumnError, match=f'{FILES[0]}'):
        ColumnStore.open(directory)
    with pytest.raises(ColumnError, match='manifest.json'):
        ColumnStore.open(tmp_path / 'nowhere')


def test_a_bucket_is_no_folder():
    for use in (ColumnStore.open, lambda directory: write_columns(directory, {'inputs': [[1]]}, {})):
        with pytest.raises(ColumnError, match='gs://bucket/store'):
            use('gs://bucket/store')


def test_a_manifest_that_is_no_manifest_is_named(directory):
    manifest = json.loads((directory / 'manifest.json').read_text())
    (directory / 'manifest.json').write_text(json.dumps({**manifest, 'format': 99}))
    with pytest.raises(ColumnError, match='99.* 2'):
        ColumnStore.open(directory)
    (directory / 'manifest.json').write_text('{"format":')
    with pytest.raises(ColumnError, match='manifest.json'):
        ColumnStore.open(directory)


def test_a_feature_that_is_not_there_is_an_error_that_lists_those_that_are(directory):
    store = ColumnStore.open(directory)
    for ask in (lambda: store.lengths('input'), lambda: store.batch(np.array([0]), {'input': 3})):
        with pytest.raises(ColumnError, match="'input'.*inputs, targets"):
            ask()


def test_a_row_longer_than_asked_for_is_an_error_that_names_it(directory):
    with pytest.raises(ColumnError, match="row 0 .*'inputs'.* 3 .* 2"):
        ColumnStore.open(directory).batch(np.array([1, 0]), {'inputs': 2})


@pytest.mark.parametrize(
    ('features', 'message'),
    [
        ({'inputs': []}, 'there are no examples'),
        (
            {'inputs': [[1]], 'targets': [[1], [2]]},
            "same number of rows; got rows {'inputs': 1, 'targets': 2}",
        ),
        ({}, 'needs features and shards'),
        ({'in/puts': [[1]]}, "'in/puts' cannot name a file"),
    ],
)
def test_what_cannot_be_a_store_is_refused_and_leaves_nothing(tmp_path, features, message):
    with pytest.raises(ColumnError, match=message):
        write_columns(tmp_path / 'store', features, {})
    assert not list(tmp_path.iterdir())


def test_values_must_be_integers(tmp_path):
    with pytest.raises(ColumnError, match="'inputs'.*float64"):
        write_columns(tmp_path / 'store', {'inputs': [[1.5]]}, {})
