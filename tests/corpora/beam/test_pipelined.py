"""The pipeline gives the corpus of the in-memory road, to the last bit, or an error."""

import functools
import os
import tempfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow_datasets as tfds

beam = pytest.importorskip('apache_beam')

from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402

from llmrec_jax.corpora.beam.pipelined import pipelined_corpus  # noqa: E402
from llmrec_jax.corpora.beam.workspace import Workspace  # noqa: E402
from llmrec_jax.corpora.prepare import load_corpus, prepare  # noqa: E402
from llmrec_jax.corpora.tables.source import Tables  # noqa: E402
from llmrec_jax.corpora.tfds_configs import CorpusConfig  # noqa: E402

DIRECT = PipelineOptions(['--runner=DirectRunner'])
HEADER = 'user,item,time,stars\n'
PARTS = (
    HEADER + 'ann,lamp,30,1\n ann,pen,20,2\nbob,pen,10,3\nbob,cup,10,\n\ndan,pen,4,4\ndan,cup,4,4\n',
    HEADER + 'bob,lamp,30,1\nbob,lamp,30,1\ncat,cup,10,3\ncat,pen,10.5,2\neve,hat,7,2\nann,cup,20,5\n',
)
ITEMS = 'item,title,price\nlamp,Desk <b>lamp</b>,$3\npen,,\ncup,Cup,1.5\nhat,Hat,\n'
USERS = 'user,age\nann,25\ncat,40\nbob,\n'


def write(folder: Path, parts) -> str:
    folder.mkdir()
    for number, text in enumerate(parts):
        (folder / f'part-{number}.csv').write_text(text)
    return str(folder)


def piped(source: Tables, folder: Path):
    pipelines = functools.partial(beam.Pipeline, options=DIRECT)
    return pipelined_corpus(source, Workspace(str(folder)), pipelines)


def assert_equal(source: Tables, folder: Path) -> None:
    expected, made = source.build(), piped(source, folder)
    assert made.provenance == expected.provenance
    assert made.lengths.tolist() == np.diff(expected.user_offsets).tolist()
    assert made.fingerprint == expected.fingerprint()


def test_tfds_builds_it_by_beam(tmp_path, monkeypatch):
    (tmp_path / 'items.csv').write_text(ITEMS)
    (tmp_path / 'users.csv').write_text(USERS)
    settings = {
        'interactions': write(tmp_path / 'events', PARTS),
        'items': str(tmp_path / 'items.csv'),
        'users': str(tmp_path / 'users.csv'),
        'items_without_text': 'dropped',
        'k_core': 2,
        'ties': 'shuffled',
    }
    source = Tables(**settings)
    expected = source.build()
    monkeypatch.setattr(Tables, 'build', lambda _: pytest.fail('it is built in memory'))
    for table in ('items', 'users'):
        builder = tfds.builder_cls('llmrec_tables')(
            config=CorpusConfig(table=table, settings=settings), data_dir=tmp_path / 'data'
        )
        download = tfds.download.DownloadConfig(beam_options=DIRECT, try_download_gcs=False)
        builder.download_and_prepare(download_config=download)
        assert not [name for name in os.listdir(builder.data_dir) if name == 'pipeline']
    corpus = load_corpus(prepare(source, tmp_path / 'data'))
    assert corpus.provenance == expected.provenance
    assert corpus.fingerprint() == expected.fingerprint()


ROWS = st.lists(
    st.tuples(
        st.sampled_from(['7', '7.0', ' 8', '9.0', 'ann', '']),
        st.sampled_from(['1', '2', '10', '3.0', '']),
        st.sampled_from(['5', '5', '6', '7.5', 'x', '']),
        st.sampled_from(['4', '2.5', '', 'bad']),
    ),
    min_size=1,
    max_size=12,
)


@hypothesis.settings(max_examples=6, derandomize=True)
@hypothesis.given(
    st.lists(ROWS, min_size=1, max_size=3),
    st.sampled_from([1, 2]),
    st.sampled_from(['file_order', 'shuffled', 'item_id']),
    st.sampled_from([None, 3]),
    st.booleans(),
)
def test_dirty_tables_give_the_same_corpus_or_the_same_kind_of_error(parts, k_core, ties, least, timed):
    with tempfile.TemporaryDirectory() as folder:
        texts = ['user,item,time,rating\n' + ''.join(','.join(row) + '\n' for row in part) for part in parts]
        source = Tables(
            write(Path(folder) / 'events', texts),
            k_core=k_core,
            ties=ties,
            min_rating=least,
            bad_rows='drop',
            time_column='time' if timed else '',
            time_format='s',
        )
        try:
            source.build()
        except ValueError:
            with pytest.raises(ValueError):
                piped(source, Path(folder) / 'space')
        else:
            assert_equal(source, Path(folder) / 'space')


def test_an_event_that_comes_again_is_refused_by_its_line(tmp_path):
    source = Tables(write(tmp_path / 'events', PARTS), duplicates='error')
    with pytest.raises(ValueError, match=r'part-1.csv, line 3'):
        piped(source, tmp_path / 'space')


def test_parts_whose_times_differ_in_form_are_named(tmp_path):
    parts = 'user,item,time\nann,pen,1700000000\n', 'user,item,time\nann,cup,2024-01-01\n'
    with pytest.raises(ValueError, match=r'part-1.csv has dates.*part-0.csv seconds.*Tables.time_format'):
        piped(Tables(write(tmp_path / 'events', parts)), tmp_path / 'space')


def test_what_tells_of_items_beside_events_is_named(tmp_path):
    source = Tables(write(tmp_path / 'events', ['user,item,title\nann,pen,Red pen\n']))
    with pytest.raises(ValueError, match=r"Tables.title_column = ''"):
        piped(source, tmp_path / 'space')
