import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from llmrec_jax.semantic_ids import pictures
from llmrec_jax.semantic_ids.diagnostics import check_health, diagnose, example_neighbours, prefix_neighbours
from llmrec_jax.semantic_ids.quantization import Quantization

CODES = np.array([[0, 0], [0, 0], [0, 1], [1, 2], [2, 0], [2, 3], [2, 0], [2, 1]], np.int32)


def vectors_of(codes, seed=0):
    return np.random.default_rng(seed).standard_normal((len(codes), 6)).astype(np.float32)


def quantization_of(codes, sizes, vectors, history=None):
    return Quantization(codes, sizes, np.zeros_like(vectors) + vectors.mean(axis=0), history or {})


def test_figures_by_hand():
    vectors = vectors_of(CODES)
    vectors[3] = vectors[5]
    found = diagnose(quantization_of(CODES, (4, 4), vectors), vectors)
    assert found['usage'] == [3 / 4, 1.0]
    assert found['shared_prefix'] == [7 / 8, 4 / 8]
    assert found['collision_rate'] == 4 / 8
    assert found['identical_vectors'] == 2 / 8
    entropy = -sum(p * math.log2(p) for p in (3 / 8, 1 / 8, 4 / 8))
    assert found['entropy'][0] == pytest.approx(entropy)
    assert found['perplexity'][0] == pytest.approx(2**entropy)
    # The mean alone reconstructs none of the variance.
    assert found['reconstruction_error'] == pytest.approx(1)
    assert json.loads(json.dumps(found)) == found


def test_similarity_within_a_prefix_is_the_mean_over_its_pairs():
    codes = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [2, 0]], np.int32)
    vectors = vectors_of(codes)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = diagnose(quantization_of(codes, (3, 3), vectors), vectors, pairs=50_000)
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert found['prefix_similarity'][0] == pytest.approx(
        np.mean([unit[a] @ unit[b] for a, b in pairs]), abs=0.02
    )
    assert found['prefix_similarity'][1] is None
    everything = [unit[a] @ unit[b] for a in range(5) for b in range(a)]
    assert found['random_similarity'] == pytest.approx(np.mean(everything), abs=0.02)


def test_a_collapsed_codebook_is_found():
    codes = np.stack([np.arange(100) % 16, np.zeros(100, int)], axis=1).astype(np.int32)
    vectors = vectors_of(codes)
    findings = check_health(diagnose(quantization_of(codes, (16, 16), vectors), vectors))
    assert len(findings) == 2
    assert findings[0].startswith('level 1: 6% of 16 codewords in use')
    assert '100.0% of items share all learned codes' in findings[1]


def test_healthy_codes_have_no_finding():
    codes = np.stack([np.arange(100) % 10, np.arange(100) // 10], axis=1).astype(np.int32)
    vectors = vectors_of(codes)
    assert check_health(diagnose(quantization_of(codes, (10, 10), vectors), vectors)) == []


def test_neighbours_share_the_longest_prefix():
    found = prefix_neighbours(CODES, 5)
    assert (found.codes, found.shared_levels, found.neighbours) == ((2, 3), 1, (4, 6, 7))
    assert prefix_neighbours(CODES, 0).neighbours == (1,)
    assert prefix_neighbours(CODES, 0).shared_levels == 2
    alone = prefix_neighbours(CODES, 3)
    assert (alone.shared_levels, alone.neighbours, alone.n_neighbours) == (0, (), 0)
    cut = prefix_neighbours(CODES, 5, limit=2)
    assert (cut.neighbours, cut.n_neighbours) == ((4, 6), 3)


def test_examples_are_different_items_in_order():
    items = [example.item for example in example_neighbours(CODES, examples=5, seed=1)]
    assert items == sorted(set(items))
    assert len(items) == 5
    assert len(example_neighbours(CODES, examples=99)) == len(CODES)


def test_pictures_are_images():
    vectors = vectors_of(CODES)
    history = {'loss': [3.0, 2.0], 'usage_0': [0.5, 1.0], 'usage_1': [0.7, 0.9]}
    drawn = pictures.draw(quantization_of(CODES, (4, 4), vectors, history), vectors)
    assert list(drawn) == ['codebook_usage', 'first_codes', 'learning_curves']
    for content in drawn.values():
        image = Image.open(io.BytesIO(content))
        assert image.format == 'PNG'
        assert image.convert('L').getextrema() != (255, 255)
    assert 'learning_curves' not in pictures.draw(quantization_of(CODES, (4, 4), vectors), vectors)
    with pytest.raises(ValueError, match='history is empty'):
        pictures.learning_curves({})
