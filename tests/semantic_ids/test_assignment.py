import itertools

import numpy as np

from llmrec_jax.semantic_ids.residual_kmeans import assign_codes, separated_last_codes


def residual_points(seed, items=200, dim=6, sizes=(4, 5, 8)):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((items, dim)).astype(np.float32)
    codebooks = [rng.standard_normal((size, dim)).astype(np.float32) / 2**n for n, size in enumerate(sizes)]
    return points, codebooks


def test_nearest_codewords_by_brute_force():
    points, codebooks = residual_points(0)
    codes, reconstruction, rate, moved = assign_codes(points, codebooks, separate_collisions=False)
    for point, row, back in zip(points, codes, reconstruction, strict=True):
        residual = point
        for codebook, code in zip(codebooks, row, strict=True):
            assert code == np.argmin(((residual - codebook) ** 2).sum(axis=1))
            residual = residual - codebook[code]
        np.testing.assert_allclose(back, point - residual, atol=1e-5)
    _, counts = np.unique(codes, axis=0, return_counts=True)
    assert rate == counts[counts > 1].sum() / len(codes)
    assert moved == 0


def test_separation_is_the_cheapest_way_to_differ():
    rng = np.random.default_rng(1)
    codebook = rng.standard_normal((5, 3)).astype(np.float32)
    residuals = (codebook[2] + 0.2 * rng.standard_normal((4, 3))).astype(np.float32)
    last = separated_last_codes(np.full((4, 2), [0, 2], np.int32), residuals, codebook)
    costs = ((residuals[:, None] - codebook[None]) ** 2).sum(-1)
    cheapest = min(
        itertools.permutations(range(5), 4), key=lambda codes: costs[np.arange(4), list(codes)].sum()
    )
    assert tuple(last) == cheapest


def test_items_that_do_not_collide_keep_their_nearest_codeword():
    points, codebooks = residual_points(2)
    nearest = assign_codes(points, codebooks, separate_collisions=False).codes
    separated, _, _, moved = assign_codes(points, codebooks, separate_collisions=True)
    np.testing.assert_array_equal(separated[:, :2], nearest[:, :2])
    prefixes = [tuple(row) for row in nearest[:, :2]]
    rows, counts = np.unique(nearest, axis=0, return_counts=True)
    crowded = {tuple(row[:2]) for row in rows[counts > 1]}
    calm = np.array([prefix not in crowded for prefix in prefixes])
    assert 0 < calm.sum() < len(points)
    np.testing.assert_array_equal(separated[calm], nearest[calm])
    assert 0 < moved == np.any(separated != nearest, axis=1).mean()


def test_a_full_level_gives_codewords_out_again_evenly():
    # 11 items of one prefix on 4 codewords: 3, 3, 3 and 2 of them, whatever is nearest.
    rng = np.random.default_rng(3)
    codebook = rng.standard_normal((4, 3)).astype(np.float32)
    residuals = (codebook[0] + 0.01 * rng.standard_normal((11, 3))).astype(np.float32)
    last = separated_last_codes(np.zeros((11, 2), np.int32), residuals, codebook)
    assert sorted(np.bincount(last, minlength=4)) == [2, 3, 3, 3]
