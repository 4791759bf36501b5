"""A tuned index reaches what was wished, reads no more than that takes, and keeps what it reached."""

import json

import numpy as np
import pytest

from llmrec_jax.retrieval.exact import ExactSearch, recall_against_exact
from llmrec_jax.retrieval.scann_index import ScannIndex, ScannSettings
from llmrec_jax.retrieval.scann_tuning import ScannTuning, bytes_read, tuned_index

K = 10
RNG = np.random.default_rng(0)
# Without clusters, so that neighbours lie in many leaves and the settings matter.
VECTORS = RNG.normal(size=(3000, 16)).astype(np.float32)
# Builds differ, and few queries tell a recall too roughly: half of these tell it to .002.
QUERIES = RNG.normal(size=(4000, 16)).astype(np.float32)
LEAVES = (30,)


def tuning(recall, **changed):
    return ScannTuning(recall, **{'k': K, 'leaves': LEAVES, 'anisotropic_thresholds': (0.2,), **changed})


@pytest.fixture(scope='module')
def tuned():
    return tuned_index(VECTORS, QUERIES, tuning=tuning(0.9))


def test_the_recall_is_reached_on_queries_that_had_no_part_in_the_choice(tuned):
    assert tuned.recall.reached >= 0.9 and tuned.recall.wished == 0.9
    assert tuned.recall.queries == len(QUERIES) // 2 and tuned.recall.k == K
    held_out = recall_against_exact(tuned, ExactSearch(VECTORS), QUERIES[1::2], K)
    assert tuned.recall.reached == pytest.approx(held_out)


def test_no_fewer_leaves_would_do(tuned):
    layout = tuned.layout
    assert 1 < layout.leaves_to_search < layout.leaves
    found = tuned.searched_with(layout.leaves_to_search - 1, layout.reorder)
    assert recall_against_exact(found, ExactSearch(VECTORS), QUERIES[::2], K) < 0.93


@pytest.mark.slow
def test_a_higher_wish_reads_more(tuned):
    high = tuned_index(VECTORS, QUERIES, tuning=tuning(0.99))
    assert high.recall.reached >= 0.98
    assert bytes_read(high.layout, 3000, 16) > bytes_read(tuned.layout, 3000, 16)


@pytest.mark.slow
def test_of_many_settings_the_one_that_reads_least_is_taken():
    index = tuned_index(
        VECTORS, QUERIES, tuning=tuning(0.8, leaves=(10, 60), anisotropic_thresholds=(0.2, 0.4))
    )
    assert index.recall.reached >= 0.78
    for leaves in (10, 60):
        alone = tuned_index(VECTORS, QUERIES, tuning=tuning(0.8, leaves=(leaves,)))
        # Two builds differ a little, so the better of them may need a few hashes more.
        assert bytes_read(index.layout, 3000, 16) <= 1.2 * bytes_read(alone.layout, 3000, 16)


def test_a_tuned_index_is_saved_with_what_it_reached(tuned, tmp_path):
    tuned.save(tmp_path / 'index')
    loaded = ScannIndex.load(tmp_path / 'index', VECTORS)
    assert loaded.layout == tuned.layout and loaded.recall == tuned.recall
    np.testing.assert_array_equal(loaded.search(QUERIES[:50], K).items, tuned.search(QUERIES[:50], K).items)
    manifest = tmp_path / 'index' / 'manifest.json'
    record = json.loads(manifest.read_text())
    assert record['recall']['reached'] == tuned.recall.reached
    manifest.write_text(json.dumps({**record, 'recall': 'perfect'}))
    with pytest.raises(ValueError, match='no manifest of this index'):
        ScannIndex.load(tmp_path / 'index')


def test_another_thoroughness_forgets_the_recall(tuned):
    assert tuned.searched_with(1, 20).recall is None
    for leaves, reorder in ((31, 20), (0, 20), (1, 0), (1, 3001)):
        with pytest.raises(ValueError, match=f'leaves_to_search={leaves} '):
            tuned.searched_with(leaves, reorder)
    with pytest.raises(ValueError, match='brute-force index has no leaves'):
        ScannIndex.build(VECTORS, settings=ScannSettings()).searched_with(1, 20)


def test_wishes_that_cannot_be_met_are_refused():
    with pytest.raises(ValueError, match=r'\[30\] leaves.*\[10\]'):
        tuned_index(VECTORS, QUERIES, tuning=tuning(0.999, reorders=(10,)))
    with pytest.raises(ValueError, match='1 queries'):
        tuned_index(VECTORS, QUERIES[:1])
    with pytest.raises(ValueError, match='k=10 .*5 items'):
        tuned_index(VECTORS[:5], QUERIES)
    for wrong, message in (
        ({'recall': 1.0}, 'for 1 use ExactSearch'),
        ({'recall': 0.9, 'k': 0}, 'k=0 must be'),
        ({'recall': 0.9, 'reorders': ()}, r'reorders=\(\) must name'),
        ({'recall': 0.9, 'leaves': (0,)}, r'leaves=\(0,\) must name'),
    ):
        with pytest.raises(ValueError, match=message):
            ScannTuning(**wrong)
