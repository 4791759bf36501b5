"""TF-IDF with SVD: near for shared words, deterministic, and clear about what it cannot encode."""

import numpy as np
import pytest

from llmrec_jax.text.text_encoder import TextEncoder
from llmrec_jax.text.tfidf import TfidfSvd

NOUNS = ['lotion', 'polish', 'shampoo', 'brush', 'mirror']
ADJECTIVES = ['red', 'blue', 'green', 'soft', 'strong', 'cheap', 'rare']
TEXTS = [f'{adjective} {noun} number {i}' for i, noun in enumerate(NOUNS) for adjective in ADJECTIVES]


def test_texts_that_share_words_are_near():
    vectors = TfidfSvd(dim=8).encode(TEXTS)
    assert vectors.shape == (35, 8) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosines = vectors @ vectors.T
    same_noun = np.arange(35)[:, None] // 7 == np.arange(35)[None, :] // 7
    assert cosines[same_noun].min() > cosines[~same_noun].max()


def test_full_rank_keeps_every_angle_of_the_words_themselves():
    # Independent of scikit-learn's: word sets, logarithmic counts (all 1 here) and smoothed idf by hand.
    texts = ['red polish', 'blue polish', 'blue brush', 'red red mirror']
    words = sorted({word for text in texts for word in text.split()})
    counts = np.array([[text.split().count(word) for word in words] for text in texts], float)
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0)
    weights = weights * (np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0))) + 1)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    vectors = TfidfSvd(dim=4).encode(texts)
    np.testing.assert_allclose(vectors @ vectors.T, weights @ weights.T, atol=1e-6)


def test_the_same_texts_and_seed_give_the_same_vectors_to_the_bit():
    # Unstructured texts and a single power iteration: the SVD is far from converged and shows its randomness.
    rng = np.random.default_rng(0)
    texts = [' '.join(f'w{word}' for word in rng.integers(0, 300, 8)) for _ in range(200)]
    first = TfidfSvd(dim=5, n_iter=1).encode(texts)
    np.testing.assert_array_equal(first, TfidfSvd(dim=5, n_iter=1).encode(texts))
    assert np.abs(first - TfidfSvd(dim=5, n_iter=1, seed=1).encode(texts)).max() > 1e-3


def test_the_seed_never_turns_an_axis_round():
    # Distinct sizes of the groups keep the singular values apart, so that axes do not mix.
    texts = [
        f'{noun} {noun}s of sort {i % 3}' for size, noun in enumerate(NOUNS) for i in range(4 * size + 3)
    ]
    first = TfidfSvd(dim=5).encode(texts)
    np.testing.assert_allclose(first, TfidfSvd(dim=5, seed=7).encode(texts), atol=1e-4)


def test_the_default_width_follows_the_texts():
    assert TfidfSvd().encode(['red polish', 'blue brush', 'red brush']).shape == (3, 3)
    assert isinstance(TfidfSvd(), TextEncoder)
    assert TfidfSvd().name != TfidfSvd(seed=1).name


@pytest.mark.parametrize('dim', [0, 4])
def test_a_width_that_the_texts_do_not_support_is_refused(dim):
    with pytest.raises(ValueError, match=f'dim={dim},.* 1 to 3 '):
        TfidfSvd(dim=dim).encode(['red polish', 'blue brush', 'red brush'])


def test_texts_that_cannot_be_encoded_are_named():
    with pytest.raises(ValueError, match=r"1 of 3 texts.*text 1, '!'"):
        TfidfSvd().encode(['red polish', '!', 'red brush'])
    with pytest.raises(ValueError, match=r"1 of 3 texts.*'blue'"):
        TfidfSvd(min_texts=2).encode(['red polish', 'blue', 'red brush'])
    with pytest.raises(ValueError, match='no word of the 2 texts is left'):
        TfidfSvd(min_texts=2).encode(['red', 'blue'])
    with pytest.raises(ValueError, match='no word of the 2 texts is left'):
        TfidfSvd().encode(['', '?'])
    with pytest.raises(ValueError, match='1 are too few'):
        TfidfSvd().encode(['red'])
    with pytest.raises(ValueError, match=r"1 of 4 texts.*first 1 .*text 3, 'blue'"):
        TfidfSvd(dim=1).encode(['red polish', 'red brush', 'red', 'blue'])
