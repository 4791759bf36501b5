"""A control is made of the same files as what it controls."""

import numpy as np
import pytest

from llmrec_jax.corpora.source_domains import SourceDomains, shuffled_rows
from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.runs.run import Run
from llmrec_jax.systems.transfer.source_stages import (
    DOMAINS,
    DROPPED_VECTORS,
    SOURCE_VECTORS,
    SourceItems,
    whole_histories,
)

VECTORS = np.arange(20, dtype=np.float32).reshape(10, 2)
HISTORIES = Sequences(np.arange(9), np.array([0, 9]))


@pytest.fixture
def run(tmp_path):
    """A workdir with the files of two domains."""
    last = RankingCases(np.array([0]), HISTORIES, np.array([9], HISTORIES.values.dtype))
    found = Run(tmp_path)
    found.put(DOMAINS, SourceDomains(HISTORIES, last, (4, 6)))
    found.put(SOURCE_VECTORS, VECTORS)
    found.put(DROPPED_VECTORS, -VECTORS)
    return found


@pytest.mark.parametrize('shuffle', ['nothing', 'order', 'text'])
def test_a_control_leaves_the_files_and_shuffles_what_it_reads(run, shuffle):
    sources = SourceItems(shuffle, seed=0)
    other_text = shuffled_rows(VECTORS, (4, 6), 0)
    np.testing.assert_array_equal(sources.vectors(run), other_text if shuffle == 'text' else VECTORS)
    as_it_was = np.array_equal(sources.domains(run).train.values, HISTORIES.values)
    assert as_it_was == (shuffle != 'order')
    np.testing.assert_array_equal(Run(run.root)[SOURCE_VECTORS], VECTORS)
    np.testing.assert_array_equal(Run(run.root)[DOMAINS].train.values, HISTORIES.values)


def test_both_texts_of_an_item_are_shuffled_alike(run):
    tables = SourceItems('text', seed=3, second_text=True).tables(run)
    np.testing.assert_array_equal(tables['dropped_text'], -tables['text'])


def test_whole_histories_are_cut_to_the_newest_and_their_users_counted():
    found = whole_histories(Sequences(np.array([5, 6, 7, 8, 9, 1, 2]), np.array([0, 4, 5, 7])), 2)
    assert [found['items'][row].tolist() for row in range(2)] == [[7, 8, 9], [2, 3]]
    assert [found['user'][row].tolist() for row in range(2)] == [[0], [1]]
