"""Training of the RQ-VAE: rounds of steps, each a compiled scan, with dead codewords revived between."""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from llmrec_jax.semantic_ids.kmeans import ASSIGNMENT_CHUNK, squared_distances
from llmrec_jax.semantic_ids.quantization import Progress
from llmrec_jax.semantic_ids.residual_kmeans import residual_codebooks
from llmrec_jax.semantic_ids.rq_vae.network import RqVaeNetwork, residual_codes, rq_vae_loss


@dataclasses.dataclass(frozen=True)
class RqVaeOptimizer:
    """AdamW with a cosine decay, or the paper's Adagrad at a constant rate.

    Attributes:
      name: which of the two; TIGER's paper has 'adagrad' with learning rate .4 and 20,000 epochs.
      learning_rate: at its highest.
      warmup_steps: AdamW's rate rises linearly over so many.
      weight_decay: of AdamW, on the layers' matrices alone: decay would pull codewords away from their items.
    """

    name: Literal['adamw', 'adagrad'] = 'adamw'
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-4

    def build(self, steps: int) -> optax.GradientTransformation:
        """The transformation, for a training of so many steps."""
        if self.name == 'adagrad':
            return optax.adagrad(self.learning_rate)
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, min(self.warmup_steps, steps // 2), steps
        )
        return optax.adamw(schedule, weight_decay=self.weight_decay, mask=_matrices)


def _matrices(params: optax.Params) -> optax.Params:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == 'kernel', params)


def revive(
    codebook: Float[Array, 'codewords latent'],
    residuals: Float[Array, 'sample latent'],
    dead_share: float | Float[Array, ''],
    key: PRNGKeyArray,
) -> Float[Array, 'codewords latent']:
    """Moves dead codewords onto residuals drawn without replacement, far ones more often.

    Args:
      codebook: of one level.
      residuals: what the level is given, at least as many as there are codewords.
      dead_share: a codeword is dead if at most this share of the average codeword's residuals have it.
      key: for the draw.
    """
    all_distances = squared_distances(residuals, codebook)
    uses = jnp.zeros(len(codebook)).at[jnp.argmin(all_distances, axis=1)].add(1)
    dead = uses <= dead_share * jnp.mean(uses)
    distances = jnp.min(all_distances, axis=1)
    # The top of log-weights plus Gumbel noise is a draw without replacement in proportion to the weights.
    scores = jnp.log(distances + 1e-12) + jax.random.gumbel(key, distances.shape)
    chosen = residuals[jax.lax.top_k(scores, len(codebook))[1]]
    return jnp.where(dead[:, None], chosen[jnp.cumsum(dead) - 1], codebook)


# The start need not be exact: training moves the codewords at once.
KMEANS_ITERATIONS = 20


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How to train; see `RqVae` for the meaning of each."""

    steps: int
    batch_size: int
    round_steps: int
    commitment_weight: float
    dead_share: float
    sample_size: int
    optimizer: RqVaeOptimizer


class RoundFigures(NamedTuple):
    """Means over the steps of a round, and how often each codeword was chosen in it."""

    reconstruction: Float[Array, '']
    quantization: Float[Array, '']
    counts: tuple[Int[Array, '_'], ...]


def train(
    network: RqVaeNetwork,
    settings: TrainingSettings,
    vectors: Float[np.ndarray, 'items dim'],
    seed: int,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """The trained parameters and the history, one value a round.

    The history holds `loss`, `reconstruction`, `quantization` and, for each level, `usage_<level>`: the share
    of its codewords that the round's batches chose.

    Raises:
      ValueError: if a level has more codewords than there are distinct vectors to start them from.
      FloatingPointError: if the loss stops being finite.
    """
    rng = np.random.default_rng(seed)
    init_key, codebook_key, revive_key = jax.random.split(jax.random.key(seed), 3)
    params = network.init(init_key, jnp.asarray(vectors[:1]))['params']
    sample = vectors[rng.permutation(len(vectors))[: settings.sample_size]]
    start = residual_codebooks(
        encode_all(network, params, sample),
        network.codebook_sizes,
        codebook_key,
        KMEANS_ITERATIONS,
        settings.sample_size,
    )
    params |= {f'codebook_{level}': jnp.asarray(codebook) for level, (codebook, _) in enumerate(start)}

    optimizer_state = settings.optimizer.build(settings.steps).init(params)
    data, rows = jnp.asarray(vectors), _RowStream(len(vectors), rng)
    history: dict[str, list[float]] = {}
    for start in range(0, settings.steps, settings.round_steps):
        steps = min(settings.round_steps, settings.steps - start)
        batches = rows.take(steps * settings.batch_size).reshape(steps, settings.batch_size)
        params, optimizer_state, figures = run_round(
            network, settings, params, optimizer_state, data, jnp.asarray(batches)
        )
        latest = _record(history, figures)
        if not np.isfinite(latest['loss']):
            raise FloatingPointError(
                f'the RQ-VAE diverged between steps {start} and {start + steps}: lower the learning rate '
                f'({settings.optimizer.learning_rate})'
            )
        # After the last round nothing would train a codeword that somebody uses in its new place.
        dead_share = settings.dead_share if start + steps < settings.steps else 0.0
        sample = jnp.asarray(vectors[rng.permutation(len(vectors))[: settings.sample_size]])
        params = _revive_dead(network, dead_share, params, sample, jax.random.fold_in(revive_key, start))
        if progress is not None:
            progress(start + steps, settings.steps, latest)
    return params, history


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def run_round(
    network: RqVaeNetwork,
    settings: TrainingSettings,
    params: dict[str, Any],
    optimizer_state: optax.OptState,
    vectors: Float[Array, 'items dim'],
    rows: Int[Array, 'steps batch'],
) -> tuple[dict[str, Any], optax.OptState, RoundFigures]:
    """One step for each row of `rows`, the batches' items; the old state's buffers are used up.

    Args:
      network: the network.
      settings: how to train.
      params: its parameters.
      optimizer_state: of `settings.optimizer`.
      vectors: of all items.
      rows: the items of each step's batch.
    """
    optimizer = settings.optimizer.build(settings.steps)

    def loss_fn(params, batch):
        output = network.apply({'params': params}, batch)
        loss = rq_vae_loss(batch, output, settings.commitment_weight)
        return loss.total, (loss, output.quantized.codes)

    def step(state, batch_rows):
        params, optimizer_state, counts = state
        (_, (loss, codes)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, vectors[batch_rows])
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        counts = tuple(count.at[codes[:, level]].add(1) for level, count in enumerate(counts))
        return (optax.apply_updates(params, updates), optimizer_state, counts), loss

    counts = tuple(jnp.zeros(size, jnp.int32) for size in network.codebook_sizes)
    (params, optimizer_state, counts), losses = lax.scan(step, (params, optimizer_state, counts), rows)
    figures = RoundFigures(jnp.mean(losses.reconstruction), jnp.mean(losses.quantization), counts)
    return params, optimizer_state, figures


def encode_all(
    network: RqVaeNetwork, params: dict[str, Any], vectors: Float[np.ndarray, 'items dim']
) -> Float[np.ndarray, 'items latent']:
    """The latents of all items, a chunk at a time."""
    return _in_chunks(network, params, vectors, 'encode')


def decode_all(
    network: RqVaeNetwork, params: dict[str, Any], latents: Float[np.ndarray, 'items latent']
) -> Float[np.ndarray, 'items dim']:
    """The vectors that latents stand for, a chunk at a time."""
    return _in_chunks(network, params, latents, 'decode')


def _in_chunks(
    network: RqVaeNetwork, params: dict[str, Any], inputs: Float[np.ndarray, 'items _'], method: str
) -> Float[np.ndarray, 'items _']:
    chunks = [
        np.asarray(_apply(network, params, jnp.asarray(inputs[start : start + ASSIGNMENT_CHUNK]), method))
        for start in range(0, len(inputs), ASSIGNMENT_CHUNK)
    ]
    return np.concatenate(chunks)


class _RowStream:
    """Rows in shuffled epochs that follow one another without a gap, so that batches of any size fit."""

    def __init__(self, n_rows: int, rng: np.random.Generator):
        self._n_rows, self._rng = n_rows, rng
        self._left = np.zeros(0, np.int64)

    def take(self, count: int) -> Int[np.ndarray, 'count']:
        epochs = [self._left]
        while sum(map(len, epochs)) < count:
            epochs.append(self._rng.permutation(self._n_rows))
        rows = np.concatenate(epochs)
        self._left = rows[count:]
        return rows[:count]


def _record(history: dict[str, list[float]], figures: RoundFigures) -> dict[str, float]:
    latest = {
        'loss': float(figures.reconstruction + figures.quantization),
        'reconstruction': float(figures.reconstruction),
        'quantization': float(figures.quantization),
        **{f'usage_{level}': float((counts > 0).mean()) for level, counts in enumerate(figures.counts)},
    }
    for name, value in latest.items():
        history.setdefault(name, []).append(value)
    return latest


@functools.partial(jax.jit, static_argnums=(0, 3))
def _apply(
    network: RqVaeNetwork, params: dict[str, Any], inputs: Float[Array, 'items _'], method: str
) -> Float[Array, 'items _']:
    return network.apply({'params': params}, inputs, method=method)


@functools.partial(jax.jit, static_argnums=0)
def _revive_dead(
    network: RqVaeNetwork,
    dead_share: float | Float[Array, ''],
    params: dict[str, Any],
    sample: Float[Array, 'sample dim'],
    key: PRNGKeyArray,
) -> dict[str, Any]:
    residual = network.apply({'params': params}, sample, method='encode')
    revived = dict(params)
    for level in range(len(network.codebook_sizes)):
        name = f'codebook_{level}'
        revived[name] = revive(params[name], residual, dead_share, jax.random.fold_in(key, level))
        residual = residual_codes(residual, [revived[name]]).remainder
    return revived
