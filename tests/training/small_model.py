"""A small linen model with the interface that the engine asks of a model."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.partitioning import param_with_axes, with_sharding_constraint

VOCABULARY = 32


class Network(nn.Module):
    """Mean of the input embeddings, one hidden layer, one softmax for each target position."""

    width: int = 16
    hidden: int = 32
    dropout: float = 0.0
    vocabulary: int = VOCABULARY

    @nn.compact
    def __call__(self, inputs, targets, deterministic):
        init = nn.initializers.normal(0.3)
        embedding = param_with_axes('embedding', init, (self.vocabulary, self.width), axes=('vocab', 'embed'))
        position = param_with_axes('position', init, (targets.shape[1], self.width), axes=('length', 'embed'))
        wi = param_with_axes('wi', init, (self.width, self.hidden), axes=('embed', 'mlp'))
        wo = param_with_axes('wo', init, (self.hidden, self.width), axes=('mlp', 'embed'))
        scale = param_with_axes('scale', nn.initializers.ones, (self.width,), axes=('embed',))
        mask = (inputs > 0).astype(jnp.float32)[:, :, None]
        mean = (embedding[inputs] * mask).sum(1) / jnp.maximum(mask.sum(1), 1)
        hidden = nn.relu((mean[:, None, :] + position[None, :, :]) @ wi)
        hidden = with_sharding_constraint(hidden, jax.sharding.PartitionSpec('batch', 'length', 'mlp'))
        hidden = nn.Dropout(self.dropout)(hidden, deterministic=deterministic)
        return ((hidden @ wo) * scale[None, None, :]) @ embedding.T


class SmallModel:
    """The model protocol's training half around `Network`."""

    in_batch_loss = False

    def __init__(self, **network):
        self.module = Network(**network)

    def get_initial_variables(self, rng, input_shapes, input_types=None):
        inputs = {
            name: jnp.zeros(shape, jnp.int32) for name, shape in input_shapes.items() if 'weights' not in name
        }
        return self.module.init(rng, inputs['inputs'], inputs['targets'], True)

    def convert_features(self, task_batch):
        targets = task_batch['targets']
        return {
            'inputs': task_batch['inputs'],
            'targets': targets,
            'weights': (targets > 0).astype(np.float32),
        }

    def loss_sums(self, params, batch, dropout_rng):
        rngs = {'dropout': dropout_rng} if dropout_rng is not None else {}
        logits = self.module.apply(
            {'params': params}, batch['inputs'], batch['targets'], dropout_rng is None, rngs=rngs
        )
        log_probability = jnp.take_along_axis(jax.nn.log_softmax(logits), batch['targets'][..., None], -1)[
            ..., 0
        ]
        right = (logits.argmax(-1) == batch['targets']) * batch['weights']
        return -(log_probability * batch['weights']).sum(), batch['weights'].sum(), {'accuracy': right.sum()}


def examples(n=240, seed=0, longest=12):
    """Histories whose mean decides the next two tokens, of very unequal lengths."""
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(3, VOCABULARY, rng.integers(1, longest + 1)) for _ in range(n)]
    targets = [np.array([int(row.mean()), int(row.max())]) for row in inputs]
    return {'inputs': inputs, 'targets': targets}
