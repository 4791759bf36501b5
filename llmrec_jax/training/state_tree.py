"""The state of a run as the tree that checkpoints hold, T5X's: either engine goes on with the other's."""

from typing import Any

from flax import serialization, traverse_util

from llmrec_jax.training.train_state import TrainState


def to_tree(state: TrainState) -> dict[str, Any]:
    """`{'target': params, 'state': {'step': ..., 'param_states': ...}}`, dictionaries all the way down.

    The parts of optax's state go by their place or name, and those that hold nothing are left out, as T5X
    does because it cannot restore an empty mapping.
    """
    carried = {'step': state.step, 'param_states': serialization.to_state_dict(state.opt_state)}
    return {
        'target': state.params,
        'state': traverse_util.unflatten_dict(traverse_util.flatten_dict(carried)),
    }


def from_tree(tree: dict[str, Any], like: TrainState) -> TrainState:
    """The state that `to_tree` made `tree` of, in the types of `like`."""
    held = traverse_util.flatten_dict(tree['state'])
    optimizer = traverse_util.flatten_dict(
        {'param_states': serialization.to_state_dict(like.opt_state)}, keep_empty_nodes=True
    )
    filled = traverse_util.unflatten_dict({path: held.get(path, empty) for path, empty in optimizer.items()})
    return TrainState(
        step=tree['state']['step'],
        params=tree['target'],
        opt_state=serialization.from_state_dict(like.opt_state, filled.get('param_states', {})),
    )
