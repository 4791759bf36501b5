import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from llmrec_jax.semantic_ids.kmeans import fit_kmeans, nearest_centroids, squared_distances
from tests.semantic_ids.planted import gaussian_tree, purity


def inertia(points, centroids):
    return float(((points - centroids[nearest_centroids(points, centroids)]) ** 2).sum())


def test_distances_equal_the_definition():
    rng = np.random.default_rng(0)
    points, centroids = rng.standard_normal((20, 5)), rng.standard_normal((3, 5))
    expected = ((points[:, None] - centroids[None]) ** 2).sum(-1)
    found = squared_distances(jnp.asarray(points), jnp.asarray(centroids))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_as_good_as_scikit_learn():
    points = np.random.default_rng(1).standard_normal((600, 8)).astype(np.float32)
    ours = inertia(points, fit_kmeans(points, 12, jax.random.key(0)))
    theirs = KMeans(12, n_init=1, random_state=0).fit(points).inertia_
    assert ours < 1.05 * theirs


def test_finds_planted_clusters_from_a_sample():
    points, labels = gaussian_tree(2000)
    centroids = fit_kmeans(points, 4, jax.random.key(0), sample_size=300)
    assert purity(nearest_centroids(points, centroids), labels[:, 0]) > 0.99


def test_no_cluster_stays_empty():
    # 90 points in one heap: a start that draws twice from it leaves the far ones for the reseeding to find.
    rng = np.random.default_rng(2)
    heap, far = rng.standard_normal((90, 2)) * 1e-3, rng.standard_normal((10, 2)) * 100
    points = np.concatenate([heap, far]).astype(np.float32)
    for seed in range(5):
        codes = nearest_centroids(points, fit_kmeans(points, 11, jax.random.key(seed)))
        assert len(np.unique(codes)) == 11


def test_as_many_clusters_as_points_reproduce_the_points():
    points = np.random.default_rng(3).standard_normal((9, 4)).astype(np.float32)
    assert inertia(points, fit_kmeans(points, 9, jax.random.key(0))) < 1e-6


def test_more_clusters_than_distinct_points():
    points = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    with pytest.raises(ValueError, match=r'codebook too large: 4 codewords for 3 distinct vectors \(of 30\)'):
        fit_kmeans(points, 4, jax.random.key(0))
    assert len(np.unique(nearest_centroids(points, fit_kmeans(points, 3, jax.random.key(0))))) == 3


def test_the_key_decides():
    points = np.random.default_rng(4).standard_normal((200, 4)).astype(np.float32)
    first = fit_kmeans(points, 16, jax.random.key(5))
    np.testing.assert_array_equal(first, fit_kmeans(points, 16, jax.random.key(5)))
    assert not np.array_equal(first, fit_kmeans(points, 16, jax.random.key(6)))
