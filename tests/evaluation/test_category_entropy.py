import numpy as np

from llmrec_jax.evaluation.category_entropy import category_entropy, category_labels

PATHS = [('All', 'Hair'), ('All', 'Hair', 'Combs'), ('All', 'Skin', 'Face'), ('All',), ()]


def test_labels_are_the_categories_at_a_depth():
    assert category_labels(PATHS, 0).tolist() == [0, 0, 0, 0, 1]
    assert category_labels(PATHS, 1).tolist() == [0, 0, 1, 2, 3]
    assert category_labels(PATHS, 2).tolist() == [0, 1, 2, 3, 4]


def test_entropy_is_in_bits_and_of_the_first_items():
    labels = np.array([0, 0, 1, 2])
    items = np.array([[0, 1, 2, 3], [0, 2, 1, -1], [-1, -1, -1, -1]])
    np.testing.assert_allclose(category_entropy(items, labels, 4), [1.5, np.log2(3) - 2 / 3, 0])
    np.testing.assert_allclose(category_entropy(items, labels, 2), [0, 1, 0])
