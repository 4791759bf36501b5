"""The optimizers that RQ-VAEs are trained with."""

import dataclasses
from typing import Literal

import jax
import optax


@dataclasses.dataclass(frozen=True)
class Optimizer:
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
