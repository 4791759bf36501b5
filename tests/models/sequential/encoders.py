"""A batch of item vectors, and encoders drawn and run on it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

BATCH, LENGTH, DIM = 4, 8, 6
# One full row, one with a single item, and one of padding alone.
MASK = np.arange(LENGTH) >= LENGTH - np.array([LENGTH, 5, 1, 0])[:, None]


def vectors(seed=0, length=LENGTH):
    """Item vectors [BATCH, length, DIM], zero where there is no item."""
    drawn = np.random.default_rng(seed).standard_normal((BATCH, LENGTH, DIM)).astype(np.float32)
    return np.pad(drawn * MASK[..., None], ((0, 0), (length - LENGTH, 0), (0, 0)))


def mask(length=LENGTH):
    return np.pad(MASK, ((0, 0), (length - LENGTH, 0)))


def drawn_params(encoder):
    """Parameters away from their initial values, so that an unused bias shows."""

    @jax.jit
    def init(key):
        return encoder.init(key, jnp.asarray(vectors()), jnp.asarray(mask()), enable_dropout=False)['params']

    noise = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: leaf + 0.1 * noise.standard_normal(leaf.shape).astype(np.float32),
        init(jax.random.key(0)),
    )


@functools.partial(jax.jit, static_argnames='encoder')
def run(encoder, params, embedded, present, key=None):
    """States; with dropout where there is a key for it."""
    rngs = None if key is None else {'dropout': key}
    return encoder.apply({'params': params}, embedded, present, enable_dropout=key is not None, rngs=rngs)
