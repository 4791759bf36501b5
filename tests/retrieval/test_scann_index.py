"""ScaNN behind its checks: exact where small, near it where large, and never an item that is not there."""

import json
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax.retrieval.exact import ExactSearch, recall_against_exact
from llmrec_jax.retrieval.retriever import VectorIndex
from llmrec_jax.retrieval.scann_index import ScannIndex, ScannSettings

TREE = ScannSettings(brute_force_below=0)


def clustered(n, dim=16, centres=50, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(centres, dim))[rng.integers(0, centres, n)] + 0.3 * rng.normal(size=(n, dim))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope='module')
def vectors():
    return clustered(6000)


def test_a_small_catalogue_is_searched_exactly(vectors):
    index = ScannIndex.build(vectors)
    assert isinstance(index, VectorIndex) and len(index) == 6000 and index.layout.brute_force
    found, truth = index.search(vectors[:200], 10), ExactSearch(vectors).search(vectors[:200], 10)
    np.testing.assert_array_equal(found.items, truth.items)
    np.testing.assert_allclose(found.scores, truth.scores, rtol=1e-5)


def test_a_tree_finds_nearly_all_with_true_scores_in_order(vectors):
    index = ScannIndex.build(vectors, settings=TREE)
    assert index.layout.leaves == 77 and index.layout.leaves_to_search == 8
    queries = clustered(300, seed=0)
    assert recall_against_exact(index, ExactSearch(vectors), queries, 10) >= 0.95
    found = index.search(queries, 10)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    expected = np.einsum('qd,qkd->qk', queries, vectors[found.items])
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


def test_slots_without_an_item_are_absent_and_last(vectors):
    # A leaf may be empty: of four, one holds an item.
    settings = ScannSettings(brute_force_below=0, leaves=100, leaves_to_search=4)
    found = ScannIndex.build(vectors, settings=settings).search(vectors[:50], 1000)
    absent = found.items == -1
    assert absent.any(axis=1).all() and not absent[:, 0].any()
    assert (np.diff(absent.astype(int), axis=1) >= 0).all()
    assert (found.scores[absent] == -np.inf).all() and np.isfinite(found.scores[~absent]).all()
    for row in found.items:
        items = row[row >= 0]
        assert len(np.unique(items)) == len(items)


def test_a_search_for_more_than_is_reordered_still_finds_them(vectors):
    settings = ScannSettings(brute_force_below=0, leaves=10, leaves_to_search=10, reorder=5)
    found = ScannIndex.build(vectors, settings=settings).search(vectors[:20], 100)
    truth = ExactSearch(vectors).search(vectors[:20], 100)
    assert np.mean([np.isin(t, f).mean() for t, f in zip(truth.items, found.items)]) > 0.7
    assert (found.items >= 0).all()


def test_no_queries_give_no_results(vectors):
    found = ScannIndex.build(vectors).search(np.empty((0, 16), np.float32), 3)
    assert found.items.shape == found.scores.shape == (0, 3)


def test_a_part_of_the_catalogue_answers_in_item_indices(vectors):
    chosen = np.random.default_rng(0).permutation(6000)[:500]
    index = ScannIndex.build(vectors[chosen], items=chosen)
    found = index.search(vectors[chosen[:20]], 1)
    np.testing.assert_array_equal(found.items[:, 0], chosen[:20])


@pytest.mark.parametrize('settings', [ScannSettings(), TREE])
def test_bad_input_is_refused_before_scann_sees_it(vectors, settings):
    index = ScannIndex.build(vectors, settings=settings)
    with pytest.raises(ValueError, match='k=6001.*6000'):
        index.search(vectors[:1], 6001)
    with pytest.raises(ValueError, match='queries.* 5 .* 16'):
        index.search(vectors[:1, :5], 1)
    broken = vectors.copy()
    broken[7, 0] = np.nan
    with pytest.raises(ValueError, match='row 7'):
        index.search(broken, 1)
    with pytest.raises(ValueError, match='row 7'):
        ScannIndex.build(broken, settings=settings)
    with pytest.raises(ValueError, match='item 0 '):
        ScannIndex.build(vectors, items=np.zeros(6000, int), settings=settings)


@pytest.mark.parametrize(
    'wrong, message',
    [
        ({'leaves': 7000}, 'leaves=7000 exceeds the 6000 items'),
        ({'leaves': 10, 'leaves_to_search': 11}, 'leaves_to_search=11 exceeds the 10 leaves'),
        ({'reorder': 0}, 'reorder=0 must be at least 1'),
        ({'anisotropic_threshold': 1.5}, 'anisotropic_threshold=1.5 must lie between'),
    ],
)
def test_settings_that_make_no_index_are_refused(vectors, wrong, message):
    with pytest.raises(ValueError, match=message):
        ScannIndex.build(vectors, settings=ScannSettings(brute_force_below=0, **wrong))


@pytest.mark.parametrize('settings', [ScannSettings(), TREE])
def test_a_saved_index_that_was_moved_finds_the_same(tmp_path, vectors, settings):
    index = ScannIndex.build(vectors, settings=settings)
    index.save(tmp_path / 'made' / 'index')
    (tmp_path / 'made').rename(tmp_path / 'moved')
    loaded = ScannIndex.load(tmp_path / 'moved' / 'index', vectors)
    before, after = index.search(vectors[:100], 20), loaded.search(vectors[:100], 20)
    np.testing.assert_array_equal(before.items, after.items)
    np.testing.assert_array_equal(before.scores, after.scores)
    assert loaded.layout == index.layout


def test_saving_replaces_an_index_and_nothing_else(tmp_path, vectors):
    ScannIndex.build(vectors).save(tmp_path / 'index')
    ScannIndex.build(vectors[:10]).save(tmp_path / 'index')
    assert len(ScannIndex.load(tmp_path / 'index')) == 10
    assert [path.name for path in tmp_path.iterdir()] == ['index']
    thesis = tmp_path / 'papers' / 'thesis.txt'
    thesis.parent.mkdir()
    thesis.write_text('years of work')
    with pytest.raises(FileExistsError, match='holds other files'):
        ScannIndex.build(vectors[:10]).save(tmp_path / 'papers')
    assert thesis.read_text() == 'years of work'


def test_a_damaged_index_is_refused(tmp_path, vectors):
    with pytest.raises(FileNotFoundError, match='holds no index'):
        ScannIndex.load(tmp_path)
    directory = tmp_path / 'index'
    index = ScannIndex.build(vectors)
    index.save(directory)
    with pytest.raises(ValueError, match='other vectors'):
        ScannIndex.load(directory, vectors[::-1])

    data = directory / 'dataset.npy'
    whole = data.read_bytes()
    data.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r'dataset\.npy'):
        ScannIndex.load(directory)
    data.unlink()
    with pytest.raises(ValueError, match=r'dataset\.npy'):
        ScannIndex.load(directory)
    data.write_bytes(whole)
    (directory / 'scann_docids.pkl').write_bytes(b'a pickle from a stranger')
    with pytest.raises(ValueError, match='scann_docids'):
        ScannIndex.load(directory)
    (directory / 'scann_docids.pkl').unlink()
    manifest = directory / 'manifest.json'
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), 'format': 'of tomorrow'}))
    with pytest.raises(ValueError, match='of tomorrow'):
        ScannIndex.load(directory)
    manifest.write_text('{')
    with pytest.raises(ValueError, match='no manifest of this index'):
        ScannIndex.load(directory)


def test_recall_counts_the_items_found():
    class Half:
        def __init__(self, exact):
            self.exact = exact

        def __len__(self):
            return len(self.exact)

        def search(self, queries, k):
            found = self.exact.search(queries, k)
            found.items[:, k // 2 :] = -1
            return found

    exact = ExactSearch(clustered(100))
    assert recall_against_exact(exact, exact, clustered(9, seed=1), 10) == 1
    assert recall_against_exact(Half(exact), exact, clustered(9, seed=1), 10) == 0.5
    with pytest.raises(ValueError, match='queries'):
        recall_against_exact(exact, exact, np.empty((0, 16)), 10)


def test_searching_imports_no_tensorflow_and_leaves_it_importable():
    program = (
        'import sys, numpy as np\n'
        'from llmrec_jax.retrieval.scann_index import ScannIndex\n'
        'ScannIndex.build(np.eye(4, dtype=np.float32)).search(np.eye(4), 1)\n'
        "assert not [name for name in sys.modules if name.split('.')[0] == 'tensorflow']\n"
        "import importlib.util; assert importlib.util.find_spec('tensorflow')\n"
    )
    subprocess.run([sys.executable, '-c', program], check=True)
