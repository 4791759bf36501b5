import dataclasses
import re

import numpy as np
import pytest

from llmrec_jax.semantic_ids.code_table import build_code_table
from llmrec_jax.semantic_ids.diagnostics import compare_quantizers, constant_level
from llmrec_jax.semantic_ids.residual_kmeans import ResidualKMeans
from llmrec_jax.semantic_ids.rq_vae.quantizer import RqVae
from llmrec_jax.semantic_ids.untrained_quantizers import Lsh, RandomCodes
from tests.semantic_ids.planted import gaussian_tree, purity

SIZES = (8, 8, 8)
QUANTIZERS = {
    'rq_vae': RqVae(SIZES, hidden_sizes=(32,), latent_dim=8, steps=60, batch_size=128, round_steps=20),
    'residual_kmeans': ResidualKMeans(SIZES),
    'lsh': Lsh(n_levels=3, n_hyperplanes=3),
    'random': RandomCodes(SIZES),
}
every_quantizer = pytest.mark.parametrize('quantizer', QUANTIZERS.values(), ids=QUANTIZERS.keys())


@pytest.fixture(scope='module')
def vectors():
    return gaussian_tree(500, seed=1)[0]


@every_quantizer
def test_codes_have_the_promised_form_and_follow_the_seed(quantizer, vectors):
    first = quantizer.quantize(vectors, 3)
    assert first.codes.shape == (500, 3)
    assert first.codes.dtype == np.int32
    assert first.codebook_sizes == SIZES
    assert first.reconstruction.shape == vectors.shape
    np.testing.assert_array_equal(first.codes, quantizer.quantize(vectors, 3).codes)
    assert not np.array_equal(first.codes, quantizer.quantize(vectors, 4).codes)


@every_quantizer
def test_unfit_vectors_are_refused(quantizer, vectors):
    broken = vectors.copy()
    broken[17, 2] = np.nan
    with pytest.raises(ValueError, match='1 item vectors.*row 17'):
        quantizer.quantize(broken, 0)
    with pytest.raises(ValueError, match='non-empty table'):
        quantizer.quantize(vectors[:0], 0)


@every_quantizer
def test_progress_ends_at_the_total(quantizer, vectors):
    calls = []
    quantizer.quantize(vectors, 0, lambda done, total, figures: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1]
    assert calls == sorted(calls)


@pytest.mark.parametrize('name', ['rq_vae', 'residual_kmeans'])
def test_codebooks_larger_than_the_catalogue(name, vectors):
    with pytest.raises(ValueError, match='8 codewords for 5 items'):
        QUANTIZERS[name].quantize(vectors[:5], 0)
    duplicates = np.repeat(vectors[:5], 4, axis=0)
    with pytest.raises(ValueError, match='level 0.*8 codewords for 5 distinct'):
        QUANTIZERS[name].quantize(duplicates, 0)


@every_quantizer
def test_equal_and_zero_vectors_are_told_apart_in_the_table(quantizer, vectors):
    crowded = vectors.copy()
    crowded[:20] = 0
    crowded[20:40] = crowded[20]
    table, quantization = build_code_table(crowded, quantizer, seed=0)
    assert np.isfinite(quantization.reconstruction).all()
    assert len(np.unique(table.codes, axis=0)) == 500


def test_the_table_says_what_it_was_made_from(vectors):
    table, _ = build_code_table(vectors, QUANTIZERS['rq_vae'], seed=5, provenance={'encoder': 'words'})
    made_from = table.provenance
    assert made_from['quantizer']['class'] == 'RqVae'
    assert made_from['quantizer']['optimizer']['learning_rate'] == 1e-3
    assert (made_from['seed'], made_from['learned_levels'], made_from['encoder']) == (5, 3, 'words')
    changed = vectors.copy()
    changed[0, 0] += 1e-3
    other, _ = build_code_table(changed, QUANTIZERS['random'], seed=5)
    assert other.provenance['vectors_sha256'] != made_from['vectors_sha256']


def test_lsh_codes_are_the_sides_of_its_hyperplanes(vectors):
    quantizer = Lsh(n_levels=2, n_hyperplanes=4)
    codes = quantizer.quantize(vectors, 9).codes
    planes = quantizer.hyperplanes(vectors.shape[1], 9)
    centred = vectors - vectors.mean(axis=0)
    for item in (0, 123, 499):
        for level in range(2):
            bits = [float(plane @ centred[item]) > 0 for plane in planes[level]]
            assert codes[item, level] == sum(bit << place for place, bit in enumerate(bits))


@pytest.mark.parametrize('name', ['rq_vae', 'residual_kmeans'])
def test_codes_find_the_planted_tree(name):
    vectors, labels = gaussian_tree(2000)
    quantizer = dataclasses.replace(QUANTIZERS[name], codebook_sizes=(4, 16), separate_collisions=False)
    if name == 'rq_vae':
        quantizer = dataclasses.replace(quantizer, steps=300)
    codes = quantizer.quantize(vectors, 0).codes
    assert purity(codes[:, 0], labels[:, 0]) > 0.95
    within = [purity(codes[labels[:, 0] == b, 1], labels[labels[:, 0] == b, 1]) for b in range(4)]
    assert min(within) > 0.9


def test_residual_kmeans_leaves_less_at_every_level(vectors):
    errors = QUANTIZERS['residual_kmeans'].quantize(vectors, 0).history['relative_error']
    assert 1 > errors[0] > errors[1] > errors[2] > 0


def test_one_table_of_all(vectors):
    rows = {row['quantizer']: row for row in compare_quantizers(QUANTIZERS, vectors, 0)}
    assert list(rows) == list(QUANTIZERS)
    assert len({tuple(row) for row in rows.values()}) == 1
    learned, hashed, drawn = rows['residual_kmeans'], rows['lsh'], rows['random']
    assert learned['reconstruction_error'] < hashed['reconstruction_error'] < drawn['reconstruction_error']
    assert learned['similarity_1'] > hashed['similarity_1'] > drawn['similarity_1'] + 0.1
    assert abs(drawn['similarity_1'] - drawn['random_similarity']) < 0.05


def test_the_layout_decides_whether_there_is_a_collision_level(vectors):
    learned = (8, 8, 128)
    quantizer = ResidualKMeans(learned)
    with_level, _ = build_code_table(vectors, quantizer, seed=0, codebook_sizes=(*learned, 40))
    assert with_level.codebook_sizes == (*learned, 40)
    assert constant_level(with_level.codes)
    without, quantization = build_code_table(vectors, quantizer, seed=0, codebook_sizes=learned)
    assert without.codebook_sizes == learned
    np.testing.assert_array_equal(without.codes, quantization.codes)
    nearest = dataclasses.replace(quantizer, separate_collisions=False)
    paper, _ = build_code_table(vectors, nearest, seed=0, codebook_sizes=(*learned, 40))
    assert constant_level(paper.codes) == []
    np.testing.assert_array_equal(paper.codes[:, :-2], without.codes[:, :-1])
    with pytest.raises(ValueError, match='there is no level that tells them apart'):
        build_code_table(vectors, nearest, seed=0, codebook_sizes=learned)
    for sizes in (learned[:-1], (*learned[:-1], 99), (*learned, 4, 4)):
        with pytest.raises(ValueError, match=re.escape(str(sizes))):
            build_code_table(vectors, quantizer, seed=0, codebook_sizes=sizes)
