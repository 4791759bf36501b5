"""A control is made of the same files as what it controls."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.launch.transfer.source_domains import SourceDomains, shuffled_rows
from llmrec_jax.launch.transfer.workspace import TransferWorkspace
from tests.launch.transfer.test_recipes import load

VECTORS = np.arange(20, dtype=np.float32).reshape(10, 2)


@pytest.mark.parametrize('shuffle', ['nothing', 'order', 'text'])
def test_a_control_leaves_the_files_and_shuffles_what_it_reads(tmp_path, shuffle):
    histories = Sequences(np.arange(9), np.array([0, 9]))
    domains = SourceDomains(
        histories, RankingCases(np.array([0]), histories, np.array([9], histories.values.dtype)), (4, 6)
    )
    recipe = dataclasses.replace(load('zesrec/smoke.gin'), workdir=str(tmp_path), shuffle=shuffle)
    workspace = TransferWorkspace(recipe)
    workspace.sources_dir.mkdir()
    domains.save(workspace.domains_path)
    np.save(workspace.source_vectors_path(dropped=False), VECTORS)
    other_text = shuffled_rows(VECTORS, (4, 6), recipe.seed)
    np.testing.assert_array_equal(workspace.source_vectors, other_text if shuffle == 'text' else VECTORS)
    as_it_was = np.array_equal(workspace.domains.train.values, histories.values)
    assert as_it_was == (shuffle != 'order')
