import numpy as np
import pytest

from llmrec_jax.semantic_ids.item_codes import ItemCodes, code_items
from llmrec_jax.semantic_ids.product_quantization import OptimizedProductQuantizer, balanced_axes
from llmrec_jax.semantic_ids.quantization import Quantizer
from llmrec_jax.semantic_ids.untrained_quantizers import additive_reconstruction
from tests.semantic_ids.planted import gaussian_tree

QUANTIZER = OptimizedProductQuantizer(parts=4, codewords=8, iterations=12)


@pytest.fixture(scope='module')
def vectors():
    """Clustered vectors whose variance falls from axis to axis, and which no axis-parallel cut suits."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.standard_normal((16, 16)))[0]
    return (gaussian_tree(400, seed=2)[0] * np.linspace(2, 0.2, 16) @ turned).astype(np.float32)


@pytest.fixture(scope='module')
def fitted(vectors):
    return QUANTIZER.fit(vectors, seed=1)


def test_the_rotation_is_orthogonal(fitted):
    rotation = fitted[0].rotation
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(16), atol=1e-5)


def test_distortion_never_rises_and_falls_by_turning(fitted):
    lost = fitted[1]
    assert len(lost) == QUANTIZER.iterations + 1
    assert np.all(np.diff(lost) <= 1e-12)
    assert lost[-1] < 0.95 * lost[0]


def test_an_item_is_coded_by_the_nearest_codeword_of_each_part(vectors, fitted):
    codebooks, lost = fitted
    codes = codebooks.encode(vectors)
    rotated = (vectors @ codebooks.rotation).reshape(-1, 4, 4)
    for item in (0, 57, 399):
        for part in range(4):
            distances = np.linalg.norm(codebooks.codewords[part] - rotated[item, part], axis=1)
            assert codes[item, part] == distances.argmin()
    variance = np.square(vectors - vectors.mean(axis=0)).sum()
    error = np.square(vectors - codebooks.decode(codes)).sum() / variance
    assert error == pytest.approx(lost[-1], rel=1e-3)


def test_it_loses_less_than_random_codes_with_the_best_decoder(vectors):
    assert isinstance(QUANTIZER, Quantizer)
    found = QUANTIZER.quantize(vectors, 1)
    drawn = np.random.default_rng(0).integers(0, 8, found.codes.shape, dtype=np.int32)
    random = additive_reconstruction(vectors, drawn, found.codebook_sizes)
    assert np.square(vectors - found.reconstruction).sum() < 0.5 * np.square(vectors - random).sum()


def test_parts_begin_with_alike_products_of_variances():
    vectors = np.random.default_rng(0).standard_normal((500, 16)) * np.geomspace(8, 0.25, 16)

    def products(turned):
        return np.log(np.var(turned, axis=0)).reshape(4, 4).sum(axis=1)

    # Vectors of unit length have variances far below 1.
    for scale in (1.0, 0.01):
        axes = balanced_axes(vectors * scale, 4)
        np.testing.assert_allclose(axes.T @ axes, np.eye(16), atol=1e-9)
        assert np.ptp(products(vectors @ axes)) < 0.2 * np.ptp(products(vectors))
    flat = np.concatenate([vectors, np.zeros((len(vectors), 16))], axis=1)
    assert (np.ptp((flat @ balanced_axes(flat, 4)).reshape(-1, 4, 8), axis=0).max(axis=1) > 0.1).all()


def test_codebooks_code_another_domain_but_not_another_width(vectors, fitted):
    other = vectors[::-1] + 0.01
    assert code_items(other, fitted[0]).codes.shape == (400, 4)
    with pytest.raises(ValueError, match='width 8 .*width 16'):
        fitted[0].encode(vectors[:, :8])


def test_sizes_that_do_not_fit(vectors):
    with pytest.raises(ValueError, match='width 16 .*5 '):
        OptimizedProductQuantizer(parts=5, codewords=8).fit(vectors, 0)
    with pytest.raises(ValueError, match='8 codewords for 5 items'):
        QUANTIZER.fit(vectors[:5], 0)
    with pytest.raises(ValueError, match='part 0.*8 codewords for 5 distinct'):
        QUANTIZER.fit(np.repeat(vectors[:5], 4, axis=0), 0)


def test_items_with_equal_codes_are_counted_and_kept(tmp_path):
    codes = ItemCodes(np.array([[0, 1], [2, 1], [0, 1], [0, 2], [0, 1]], np.int32), 3, {'encoder': 'words'})
    assert codes.indistinguishable == 3
    codes.save(tmp_path / 'codes.npz')
    found = ItemCodes.load(tmp_path / 'codes.npz')
    np.testing.assert_array_equal(found.codes, codes.codes)
    assert (found.fingerprint, found.provenance) == (codes.fingerprint, {'encoder': 'words'})


def test_a_damaged_file_of_codes_is_named(tmp_path):
    path = tmp_path / 'codes.npz'
    ItemCodes(np.zeros((3, 2), np.int32), 3).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r'codes\.npz'):
        ItemCodes.load(path)
    with pytest.raises(FileNotFoundError):
        ItemCodes.load(tmp_path / 'absent.npz')
    with pytest.raises(ValueError, match='item 1 .*code 3 .*level 0'):
        ItemCodes(np.array([[0], [3]], np.int32), 3)
