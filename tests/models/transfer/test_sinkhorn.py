import jax
import jax.numpy as jnp
import numpy as np
import optax

from llmrec_jax.models.transfer.code_items import gumbel_sinkhorn, hard_rows, nearest_permutation, sinkhorn

LOGITS = jnp.asarray(np.random.default_rng(0).standard_normal((2, 6, 6)), jnp.float32)


def test_rows_and_columns_come_to_sum_to_one():
    found = sinkhorn(LOGITS, 40)
    np.testing.assert_allclose(found.sum(axis=-1), np.ones((2, 6)), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=-2), np.ones((2, 6)), atol=1e-4)
    few = sinkhorn(LOGITS, 1)
    assert np.abs(few.sum(axis=-2) - 1).max() > 1e-2


def test_a_low_temperature_gives_the_permutation_itself():
    planted = np.stack([np.random.default_rng(seed).permutation(6) for seed in (1, 2)])
    logits = 3 * jnp.eye(6)[planted]
    relaxed = gumbel_sinkhorn(logits, None, temperature=0.1, iterations=20)
    np.testing.assert_allclose(relaxed, np.eye(6)[planted], atol=1e-4)


def test_noise_follows_the_key():
    first, again, other = (gumbel_sinkhorn(LOGITS, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_hard_rows_are_one_hot_and_pass_the_gradient_on():
    relaxed = sinkhorn(LOGITS, 3)
    hard = hard_rows(relaxed)
    np.testing.assert_array_equal(hard, np.eye(6)[np.argmax(relaxed, axis=-1)])
    weights = LOGITS + 1
    through = jax.grad(lambda logits: (hard_rows(sinkhorn(logits, 3)) * weights).sum())(LOGITS)
    soft = jax.grad(lambda logits: (sinkhorn(logits, 3) * weights).sum())(LOGITS)
    np.testing.assert_allclose(through, soft, atol=1e-6)
    assert np.abs(soft).max() > 1e-3


def test_what_is_kept_is_a_permutation_where_rows_agree_on_a_column():
    logits = np.zeros((1, 3, 3), np.float32)
    logits[0, :, 0] = [3, 2, 1]
    logits[0, 1, 2] = 1.5
    np.testing.assert_array_equal(nearest_permutation(logits), [[0, 2, 1]])


def test_a_planted_permutation_is_found_by_gradients():
    """Codes were renamed; what the items look like tells how."""
    rng = np.random.default_rng(3)
    digits, codewords = 2, 8
    embeddings = rng.standard_normal((digits, codewords, 4)).astype(np.float32)
    planted = np.stack([rng.permutation(codewords) for _ in range(digits)])
    renamed = np.stack([embeddings[digit, planted[digit]] for digit in range(digits)])
    optimizer = optax.adam(0.1)

    def loss(logits, key):
        chosen = hard_rows(gumbel_sinkhorn(logits, key))
        return jnp.square(jnp.einsum('dij,djv->div', chosen, embeddings) - renamed).mean()

    @jax.jit
    def update(logits, state, key):
        updates, state = optimizer.update(jax.grad(loss)(logits, key), state)
        return optax.apply_updates(logits, updates), state

    logits = jnp.zeros((digits, codewords, codewords))
    state = optimizer.init(logits)
    for step in range(150):
        logits, state = update(logits, state, jax.random.fold_in(jax.random.key(0), step))
    np.testing.assert_array_equal(nearest_permutation(np.asarray(logits)), planted)
