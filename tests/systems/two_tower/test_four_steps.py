"""From corpus to an index and its report in four steps."""

import numpy as np
import pytest

from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.index_choice import load_index
from tests.systems.catalogue_smoke import ran_twice


@pytest.mark.smoke
def test_four_steps_stand_in_the_results_and_are_served_from_an_index(tmp_path):
    flags = ('--gin.index_choice.IndexChoice.exact_below=1000', '--gin.scann_tuning.ScannTuning.leaves=(8,)')
    found = ran_twice('two_tower/smoke.gin', tmp_path, *flags)
    assert found['test'].keys() >= {'two_tower', 'popularity', 'ceiling'}
    assert found['test']['two_tower']['users'] == 200
    assert found['serving']['index']['build_seconds'] > 0
    assert found['semantic_ids']['dim'] == 32
    # The index is searched exactly, so that it finds what the ranking of the catalogue found in training.
    best = found['training']['best_value']
    assert abs(found['validation']['two_tower']['ndcg@10'] - best) < 1e-6
    vectors = np.load(tmp_path / 'retrieval' / 'item_vectors.npy')
    assert isinstance(load_index(tmp_path / 'retrieval' / 'index', vectors), ExactSearch)
