"""The two engines' updates on the same batches, driven through their own code in one process."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.core import freeze, unfreeze

from llmrec_jax.training.frozen import split
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding, place
from llmrec_jax.training.optimizers import Optimizer
from llmrec_jax.training.step import compile_step
from llmrec_jax.training.train_state import abstract_state, fresh_state, shardings_of

Features = Mapping[str, np.ndarray]


def embedded_losses(
    model: Any,
    optimizer: Optimizer,
    params: Any,
    batches: Sequence[Features],
    mesh: MeshShape,
    trained: Sequence[str] = (),
) -> tuple[list[float], Any]:
    """Loss of every update by the embedded engine, and the parameters after the last."""
    built, transformation = mesh.build(), optimizer.build()
    placement = batch_sharding(built, STANDARD_RULES)
    shapes = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=placement)
        for name, array in batches[0].items()
    }
    with jax.set_mesh(built):
        abstract = abstract_state(model, transformation, shapes, built, STANDARD_RULES, trained=trained)
        placed_params = jax.device_put(params, shardings_of(abstract.all_params))
        moving, still = split(placed_params, trained)
        state = fresh_state(moving, transformation, abstract, still)
        step = compile_step(
            model, transformation, abstract, {0: shapes}, STANDARD_RULES, 0, 'threefry2x32', microbatches=1
        )
        losses = []
        for number, batch in enumerate(batches):
            placed = place(batch, placement, slice(0, None), len(next(iter(batch.values()))))
            state, metrics = step(state, number, [(0, placed)])
            losses.append(float(metrics['loss']))
    return losses, jax.device_get(state.all_params)


def t5x_losses(
    model: Any, params: Any, batches: Sequence[Features], mesh: MeshShape
) -> tuple[list[float], Any, Any]:
    """Loss of every update by T5X's trainer, the parameters after the last, and their train state.

    `model` carries its optimizer, as `prepared_run` hands it to T5X.
    """
    from t5x import trainer, utils

    from llmrec_jax.t5x.partitioner import MeshPartitioner

    partitioner = MeshPartitioner(mesh, STANDARD_RULES)
    initializer = utils.TrainStateInitializer(
        optimizer_def=model.optimizer_def,
        init_fn=model.get_initial_variables,
        input_shapes={name: array.shape for name, array in batches[0].items()},
        input_types={name: array.dtype for name, array in batches[0].items()},
        partitioner=partitioner,
    )
    state = initializer.from_scratch(jax.random.PRNGKey(0))
    placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), freeze(params), state.params)
    with contextlib.closing(
        trainer.Trainer(
            model=model,
            train_state=state.replace_params(placed),
            partitioner=partitioner,
            eval_names=(),
            summary_dir=None,
            train_state_axes=initializer.train_state_axes,
            rng=jax.random.PRNGKey(0),
            learning_rate_fn=lambda step: 0.0,
            num_microbatches=None,
        )
    ) as t5x_trainer:
        losses = []
        for number, batch in enumerate(batches):
            summary = t5x_trainer.train(iter([batch]), 1, start_step=number).result()
            losses.append(float(summary['loss_per_nonpadding_target_token'].value))
        state = t5x_trainer.train_state
    return losses, unfreeze(jax.device_get(state.params)), state


def t5x_predictions(
    model: Any, params: Any, batch: Features, mesh: MeshShape
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """What T5X's `predict_batch_with_aux` of the model gives under T5X's partitioning."""
    from t5x import utils

    from llmrec_jax.t5x.partitioner import MeshPartitioner

    partitioner = MeshPartitioner(mesh, STANDARD_RULES)
    initializer = utils.TrainStateInitializer(
        optimizer_def=None,
        init_fn=model.get_initial_variables,
        input_shapes={name: array.shape for name, array in batch.items()},
        partitioner=partitioner,
    )
    predict = partitioner.partition(
        model.predict_batch_with_aux,
        in_axis_resources=(initializer.train_state_axes.params, partitioner.data_partition_spec),
        out_axis_resources=None,
    )
    return jax.device_get(predict(freeze(params), batch))
