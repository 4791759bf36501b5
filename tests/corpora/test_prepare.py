import dataclasses
import gc
import json
import math
import pathlib
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.prepare import PreparedCorpus, load_corpus, prepare, prepared_corpus
from llmrec_jax.corpora.sequence_files import SequenceFiles
from tests.corpora.sequence_directory import SEQUENCES, write_directory

ROOT = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Oddities:
    """A source of a user's own, with every value that storage could spoil."""

    users: int = 3

    @property
    def name(self) -> str:
        return 'my shop/größe 1'

    def build(self) -> Corpus:
        items = Items(
            item_id=['a', '', 'ü'],
            title=['', 'tab\there', '漢字 🛁\n second line \x00'],
            brand=['', 'x', ''],
            categories=[(), ('',), ('Root', '', 'Blätter')],
            description=['', ' ', 'd' * 100_000],
            price=np.asarray([np.nan, 1.1, 0.0], np.float32),
        )
        # The middle user has no events at all.
        events = Events(
            user=np.asarray([0, 0, 2]),
            item=np.asarray([2, 0, 1]),
            timestamp=np.asarray([-5, 2**40, 0]),
            rating=np.asarray([np.nan, 4.5, 1 / 3], np.float32),
            summary=['', 'ok 👍', ''],
            review=['r\n', '', 'é'],
        )
        users = Users([f'u{row}' for row in range(self.users)], [''] * self.users)
        return Corpus(self.name, items, users, events, {'seed': None, 'nested': {'price': [1.5, 'x']}})


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_what_is_read_back_equals_what_was_built(tmp_path):
    built = Oddities().build()
    loaded = load_corpus(prepare(Oddities(), tmp_path))
    assert loaded.fingerprint() == built.fingerprint()
    assert loaded.provenance == built.provenance
    assert loaded.name == built.name
    assert loaded.items.title == built.items.title
    assert loaded.items.categories == [(), ('',), ('Root', '', 'Blätter')]
    assert loaded.items.price.dtype == np.float32
    assert math.isnan(loaded.items.price[0])
    assert loaded.events.timestamp.tolist() == [-5, 2**40, 0]
    assert loaded.events.summary == ['', 'ok 👍', '']


def test_prepared_data_are_reused_and_never_shared_between_sources(tmp_path, monkeypatch):
    directory = write_directory(tmp_path / 'shop')
    source = SequenceFiles(str(directory))
    first = prepare(source, tmp_path / 'data')
    with monkeypatch.context() as patch:
        patch.setattr(SequenceFiles, 'build', lambda self: pytest.fail('built again'))
        assert prepare(source, tmp_path / 'data') == first
        # Where the files lie is no part of what they hold.
        moved = tmp_path / 'elsewhere' / 'shop'
        moved.parent.mkdir()
        directory.rename(moved)
        assert prepare(SequenceFiles(str(moved)), tmp_path / 'data') == first

    other_seed = prepare(SequenceFiles(str(moved), relabel_seed=1), tmp_path / 'data')
    assert other_seed.users_name != first.users_name
    write_directory(moved, [*SEQUENCES, '1 1 2 3'])
    other_content = prepare(SequenceFiles(str(moved)), tmp_path / 'data')
    assert len(load_corpus(other_content).users) == len(SEQUENCES) + 1
    assert len(load_corpus(first).users) == len(SEQUENCES)


@pytest.mark.smoke
def test_seqio_reads_the_tables_in_another_process_without_the_source(tmp_path):
    directory = write_directory(tmp_path / 'shop', [f'{user} 1 2 3' for user in range(40)])
    prepared = prepare(SequenceFiles(str(directory), relabel_seed=None), tmp_path / 'data')
    code = f"""
import json, sys
import seqio
source = seqio.TfdsDataSource(
    tfds_name={prepared.users_name!r}, tfds_data_dir={prepared.data_dir!r},
    splits={{'train': 'train', 'validation': 'train'}},
)
assert 'llmrec_jax' not in sys.modules
shards = [
    list(source.get_dataset('validation', shuffle=False, shard_info=seqio.ShardInfo(index,
    4)).as_numpy_iterator()) for index in range(4)
]
records = [record for shard in shards for record in shard]
print(json.dumps({{
    'sizes': [len(shard) for shard in shards],
    'examples': source.num_input_examples('train'),
    'users': sorted(int(record['user_id']) for record in records),
    'histories': [record['events']['item'].tolist() for record in records],
}}))
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    assert min(read['sizes']) > 0
    assert read['examples'] == 40
    assert read['users'] == list(range(40))
    assert read['histories'] == [[0, 1, 2]] * 40


def test_a_corpus_in_use_is_read_once_in_a_process(tmp_path, monkeypatch):
    source = SequenceFiles(str(write_directory(tmp_path / 'shop')))
    reads = []
    counted = 'llmrec_jax.corpora.prepare.load_corpus'
    monkeypatch.setattr(counted, lambda one: reads.append(one) or load_corpus(one))
    built = prepared_corpus(source, tmp_path / 'data')
    assert prepared_corpus(source, tmp_path / 'data') is built
    fingerprint = built.fingerprint()
    assert not reads
    del built
    gc.collect()
    read = prepared_corpus(source, tmp_path / 'data')
    assert prepared_corpus(source, tmp_path / 'data') is read
    assert len(reads) == 1 and read.fingerprint() == fingerprint


def test_a_killed_run_leaves_nothing_that_is_taken_for_prepared(tmp_path):
    directory = write_directory(tmp_path / 'shop', [f'{user} 1 2 3' for user in range(40)])
    code = f"""
import os, signal
from llmrec_jax.corpora import tfds_builder
from llmrec_jax.corpora.prepare import prepare
from llmrec_jax.corpora.sequence_files import SequenceFiles
whole = tfds_builder.user_records
written = 0
def cut(corpus, rows):
    global written
    for record in whole(corpus, rows):
        written += 1
        if written == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        yield record
tfds_builder.user_records = cut
prepare(SequenceFiles({str(directory)!r}), {str(tmp_path / 'data')!r})
"""
    assert run_python(code).returncode == -signal.SIGKILL
    source = SequenceFiles(str(directory))
    assert load_corpus(prepare(source, tmp_path / 'data')).fingerprint() == source.build().fingerprint()


def test_a_source_that_fails_leaves_nothing(tmp_path):
    directory = write_directory(tmp_path / 'shop', ['1 1 99'])
    with pytest.raises(ValueError, match=r"sequential.txt, line 1: item '99' is not in items.jsonl"):
        prepare(SequenceFiles(str(directory)), tmp_path / 'data')
    assert not list((tmp_path / 'data').rglob('*.json'))


def test_two_processes_may_prepare_the_same_corpus(tmp_path, monkeypatch):
    source = SequenceFiles(str(write_directory(tmp_path / 'shop')))
    build = SequenceFiles.build

    def overtaken(self):
        monkeypatch.setattr(SequenceFiles, 'build', build)
        prepare(self, tmp_path / 'data')
        return build(self)

    monkeypatch.setattr(SequenceFiles, 'build', overtaken)
    prepared = prepare(source, tmp_path / 'data')
    assert load_corpus(prepared).fingerprint() == build(source).fingerprint()


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path):
    whole = prepare(SequenceFiles(str(write_directory(tmp_path / 'shop'))), tmp_path / 'data')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file may not grow beyond this, as if the disk were full; one description alone is longer.
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(
            OSError, match=r"corpus 'my shop/.*': writing the items to .* failed, and nothing"
        ):
            prepare(Oddities(), tmp_path / 'data')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_corpus(whole).fingerprint()
    assert (
        load_corpus(prepare(Oddities(), tmp_path / 'data')).fingerprint() == Oddities().build().fingerprint()
    )


def test_damaged_data_are_named(tmp_path):
    prepared = prepare(SequenceFiles(str(write_directory(tmp_path / 'shop'))), tmp_path)
    shard = sorted(tmp_path.glob('llmrec_sequence_files/*-users/1.1.0/*.tfrecord-*'))[0]
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(
        ValueError, match=r'shop-.*users.* is damaged; delete its directories and prepare it again'
    ):
        load_corpus(prepared)


def test_a_table_that_is_not_there_is_named(tmp_path):
    missing = PreparedCorpus(
        str(tmp_path), 'llmrec_sequence_files/shop-0-items:1.1.0', 'llmrec_sequence_files/shop-0-users:1.1.0'
    )
    with pytest.raises(
        FileNotFoundError, match=r'has no table llmrec_sequence_files/shop-0-items:1.1.0; prepare'
    ):
        load_corpus(missing)


def test_provenance_lies_beside_the_data(tmp_path):
    source = SequenceFiles(str(write_directory(tmp_path / 'shop')))
    prepared = prepare(source, tmp_path)
    metadata = tfds.builder(prepared.users_name, data_dir=prepared.data_dir).info.metadata
    corpus = source.build()
    assert metadata['provenance'] == corpus.provenance
    assert metadata['fingerprint'] == corpus.fingerprint()
    assert metadata['identity']['settings'] == {
        'relabel_seed': 0,
        'duplicates': 'error',
        'text': 'readable',
        'items_without_text': 'kept',
        'name_without_text': 'Item {item_id}',
    }
    assert str(tmp_path) not in json.dumps(dict(metadata))
