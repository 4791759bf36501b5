"""K-means as two matrix products and a segment sum a round, compiled once."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

ASSIGNMENT_CHUNK = 65_536


def fit_kmeans(
    points: Float[np.ndarray, 'points dim'],
    n_clusters: int,
    key: PRNGKeyArray,
    *,
    iterations: int = 50,
    sample_size: int = 65_536,
) -> Float[np.ndarray, 'clusters dim']:
    """Centroids by Lloyd's iterations from a k-means++ start; a cluster that falls empty takes a far point.

    Args:
      points: what to cluster.
      n_clusters: number of centroids.
      key: for the start and the sample.
      iterations: Lloyd's iterations.
      sample_size: the centroids are fitted to at most so many points, drawn without replacement.

    Raises:
      ValueError: if there are fewer distinct points than clusters.
    """
    sample_key, fit_key = jax.random.split(key)
    if len(points) > sample_size:
        rows = jax.random.choice(sample_key, len(points), (sample_size,), replace=False)
        points = points[np.asarray(rows)]
    distinct = len(np.unique(points, axis=0))
    if distinct < n_clusters:
        raise ValueError(
            f'codebook too large: {n_clusters} codewords for {distinct} distinct vectors (of {len(points)}); '
            f'use at most {distinct} codewords at this level'
        )
    return np.asarray(_lloyd(jnp.asarray(points), fit_key, n_clusters, iterations))


def nearest_centroids(
    points: Float[np.ndarray, 'points dim'], centroids: Float[np.ndarray, 'clusters dim']
) -> Int[np.ndarray, 'points']:
    """The centroid nearest to each point in Euclidean distance; the first of equals."""
    chunks = [
        np.asarray(_nearest(jnp.asarray(points[start : start + ASSIGNMENT_CHUNK]), jnp.asarray(centroids))[0])
        for start in range(0, len(points), ASSIGNMENT_CHUNK)
    ]
    return np.concatenate(chunks)


def squared_distances(
    points: Float[Array, 'points dim'], centroids: Float[Array, 'clusters dim']
) -> Float[Array, 'points clusters']:
    """Squared Euclidean distances, by one matrix product."""
    products = jnp.dot(points, centroids.T, precision=lax.Precision.HIGHEST)
    squares = jnp.sum(points**2, axis=1)[:, None] + jnp.sum(centroids**2, axis=1)[None, :]
    return jnp.maximum(squares - 2 * products, 0)


@jax.jit
def _nearest(
    points: Float[Array, 'points dim'], centroids: Float[Array, 'clusters dim']
) -> tuple[Int[Array, 'points'], Float[Array, 'points']]:
    distances = squared_distances(points, centroids)
    return jnp.argmin(distances, axis=1), jnp.min(distances, axis=1)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _lloyd(
    points: Float[Array, 'points dim'], key: PRNGKeyArray, n_clusters: int, iterations: int
) -> Float[Array, 'clusters dim']:
    def iterate(_, centroids):
        codes, distances = _nearest(points, centroids)
        counts = jax.ops.segment_sum(jnp.ones(len(points)), codes, n_clusters)
        sums = jax.ops.segment_sum(points, codes, n_clusters)
        moved = sums / jnp.maximum(counts, 1)[:, None]
        empty = counts == 0
        farthest = lax.top_k(distances, n_clusters)[1]
        reseeded = points[farthest[jnp.cumsum(empty) - 1]]
        return jnp.where(empty[:, None], reseeded, moved)

    return lax.fori_loop(0, iterations, iterate, _plus_plus(points, key, n_clusters))


def _plus_plus(
    points: Float[Array, 'points dim'], key: PRNGKeyArray, n_clusters: int
) -> Float[Array, 'clusters dim']:
    """Each next centroid is a point drawn in proportion to its squared distance from those before.

    Of a few drawn, the one that lowers the sum of squared distances most is kept: a single draw often falls
    into a cluster that has a centroid already, and Lloyd's iterations do not mend it.
    """
    keys = jax.random.split(key, n_clusters)
    candidates = 2 + int(math.log(n_clusters))
    first = points[jax.random.randint(keys[0], (), 0, len(points))]

    def add(index, state):
        centroids, distances = state
        drawn = points[jax.random.categorical(keys[index], jnp.log(distances), shape=(candidates,))]
        remaining = jnp.minimum(distances[:, None], squared_distances(points, drawn))
        best = jnp.argmin(jnp.sum(remaining, axis=0))
        return centroids.at[index].set(drawn[best]), remaining[:, best]

    start = jnp.zeros((n_clusters, points.shape[1]), points.dtype).at[0].set(first)
    distances = jnp.sum((points - first[None, :]) ** 2, axis=1)
    return lax.fori_loop(1, n_clusters, add, (start, distances))[0]
