"""Planted data: items on a tree of Gaussians whose spread shrinks from level to level."""

import numpy as np


def gaussian_tree(items: int, branches: int = 4, dim: int = 16, seed: int = 0):
    """Vectors, and the branch of each item at levels 0 and 1."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((branches, dim)) * 4
    second = rng.standard_normal((branches, branches, dim))
    labels = rng.integers(0, branches, (items, 2))
    noise = rng.standard_normal((items, dim)) * 0.1
    vectors = first[labels[:, 0]] + second[labels[:, 0], labels[:, 1]] + noise
    return vectors.astype(np.float32), labels


def purity(codes, labels):
    """Share of items whose label is the commonest one of their code."""
    agreeing = sum(np.bincount(labels[codes == code]).max() for code in np.unique(codes))
    return agreeing / len(codes)
