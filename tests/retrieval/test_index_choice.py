"""Which index a catalogue gets, and that it comes back from its folder as it was."""

import json

import numpy as np
import pytest

from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.index_choice import IndexChoice, load_index
from llmrec_jax.retrieval.retriever import VectorIndex
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.retrieval.scann_tuning import ScannTuning

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(2000, 8)).astype(np.float32)
QUERIES = RNG.normal(size=(100, 8)).astype(np.float32)
CHOICE = IndexChoice(
    exact_below=2000, tuning=ScannTuning(recall=0.8, leaves=(20,), anisotropic_thresholds=(0.2,))
)


def test_small_catalogues_are_searched_exactly_and_large_ones_by_scann(tmp_path):
    items = RNG.permutation(5000)[:2000]
    for size, kind in ((1999, ExactSearch), (2000, ScannIndex)):
        index = CHOICE.build(VECTORS[:size], QUERIES, items=items[:size])
        assert isinstance(index, kind) and isinstance(index, VectorIndex) and len(index) == size
        index.save(tmp_path / 'index')
        loaded = load_index(tmp_path / 'index', VECTORS[:size][np.argsort(items[:size])])
        assert isinstance(loaded, kind)
        expected, found = index.search(QUERIES, 5), loaded.search(QUERIES, 5)
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_array_equal(found.scores, expected.scores)
        for other in (2 * VECTORS[:size], VECTORS[: size - 1]):
            with pytest.raises(ValueError, match='other vectors'):
                load_index(tmp_path / 'index', other)


def test_an_exact_index_that_was_changed_is_refused(tmp_path):
    ExactSearch(VECTORS).save(tmp_path)
    with (tmp_path / 'vectors.npy').open('r+b') as file:
        file.seek(1000)
        file.write(b'\xff')
    with pytest.raises(ValueError, match=r'vectors\.npy is damaged'):
        load_index(tmp_path)
    (tmp_path / 'vectors.npy').unlink()
    with pytest.raises(ValueError, match=r"lacks \['vectors\.npy'\]"):
        load_index(tmp_path)


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no index'):
        load_index(tmp_path)
    for manifest in ('{', '[]', '{}', json.dumps({'format': 'of tomorrow', 'files': {}})):
        (tmp_path / 'manifest.json').write_text(manifest)
        with pytest.raises(ValueError, match='no manifest of this index'):
            load_index(tmp_path)
