"""Shapes of what a model is trained on and made of; no array is made."""

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from llmrec_jax.training.frozen import held
from llmrec_jax.training.train_state import TrainableModel, abstract_params
from llmrec_jax.training.trainer import Trainer


def full_features(model: TrainableModel, trainer: Trainer, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The model's features of so many examples, every task feature at its full length.

    Args:
      model: the model, which knows its catalogue where it needs one.
      trainer: names the task features and their lengths.
      rows: examples.
    """
    blank = {name: np.zeros((rows, length), np.int32) for name, length in trainer.feature_lengths.items()}
    features = model.convert_features(blank)
    return {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in features.items()}


def sharded_params(model: TrainableModel, trainer: Trainer, mesh: Mesh) -> PyTree[jax.ShapeDtypeStruct]:
    """The parameters as training leaves them on the mesh.

    Raises:
      ValueError: when a parameter cannot be shared as the trainer's rules say.
    """
    abstract = abstract_params(model, full_features(model, trainer, 1), mesh, trainer.logical_axis_rules)
    return held(abstract, trainer.trained, trainer.frozen_dtype)


def parameter_count(model: TrainableModel, trainer: Trainer) -> int:
    """Number of parameters."""
    shapes = {name: leaf.shape for name, leaf in full_features(model, trainer, 1).items()}
    params = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes)['params'])
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def placed(tree: PyTree[Any], sharding: Any) -> PyTree[jax.ShapeDtypeStruct]:
    """Shapes of arrays with one sharding for all."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)
