"""Low-rank adapters brought from PEFT's format into a checkpoint beside their base, and back."""

import dataclasses
import logging
import pathlib

import jax
from flax import traverse_util

from llmrec_jax import files
from llmrec_jax.inference.weights_exchange import NETWORK, network_gin, whole
from llmrec_jax.models.hf_weights.adapters import read_adapter, write_adapter
from llmrec_jax.models.hf_weights.layout import Config, layout_of
from llmrec_jax.models.lora import is_adapter
from llmrec_jax.training.base_checkpoints import Base, recorded
from llmrec_jax.training.checkpoints import saved_steps
from llmrec_jax.training.parameter_restore import open_params
from llmrec_jax.training.start_checkpoint import add_parameters

LOG = logging.getLogger(__name__)


def import_adapter(
    source: pathlib.Path, config: Config, base: str | pathlib.Path, output: pathlib.Path
) -> pathlib.Path:
    """Makes a checkpoint of adapters alone, and a gin file that configures the adapted network.

    Args:
      source: a folder that PEFT's `save_pretrained` wrote.
      config: of the network that is adapted.
      base: its checkpoint, which that of the adapters names and is read with.
      output: receives `checkpoint_0` and `network.gin`.

    Returns:
      The checkpoint.

    Raises:
      FileNotFoundError, ValueError: as `models.hf_weights.adapters.read_adapter`.
      FileExistsError: when `output` holds a checkpoint already.
      CheckpointError: when the base is not there, damaged or of another network.
    """
    if found := saved_steps(output):
        raise FileExistsError(f'{output} holds checkpoint_{found[0]} already; give another folder')
    config = dataclasses.replace(config, lora=None)
    layout = layout_of(config)
    shapes = layout.parameter_shapes(config)
    open_params(base, shapes)
    lora, adapters = read_adapter(source, shapes, layout.hf_name)
    checkpoint = add_parameters(traverse_util.unflatten_dict(adapters, sep='/'), output, Base.of(base))
    files.write_text(output / NETWORK, network_gin(dataclasses.replace(config, lora=lora), source))
    count = sum(leaf.size for leaf in jax.tree.leaves(adapters))
    LOG.info('%d parameters of adapters: %s; their network: %s', count, checkpoint, output / NETWORK)
    return checkpoint


def export_adapter(
    config: Config,
    checkpoint: str | pathlib.Path,
    output: pathlib.Path,
    *,
    dtype: str = 'float32',
    base: str | None = None,
) -> pathlib.Path:
    """Makes a folder of PEFT of the adapters in a checkpoint.

    Args:
      config: of the network, adapters included; its layers may be stacked in the checkpoint or not.
      checkpoint: a folder `checkpoint_<step>`, of adapters alone or of the whole network.
      output: a new or an empty folder.
      dtype: that the adapters are stored in, 'float32' or 'bfloat16'.
      base: what PEFT is to call the adapted network; None for the address of its checkpoint.

    Raises:
      CheckpointError: when the checkpoint or its base is not there, is damaged, or is of another network.
      ValueError: when the network has no adapters, and as `models.hf_weights.adapters.write_adapter`.
      FileExistsError: when `output` holds anything.
    """
    if config.lora is None:
        raise ValueError('the gin files configure a network without adapters: nothing is set as its lora')
    layout = layout_of(config)
    found = open_params(checkpoint, layout.parameter_shapes(config))
    adapters = {path: whole(array)() for path, array in found.items() if is_adapter(path)}
    kernels = layout.parameter_shapes(dataclasses.replace(config, lora=None))
    record = recorded(checkpoint)
    known = str(checkpoint) if record is None else record['checkpoint']
    write_adapter(
        output,
        config.lora,
        adapters,
        kernels,
        layout.hf_name,
        task_type=layout.task_type,
        base=known if base is None else base,
        dtype=dtype,
    )
    LOG.info('%s: the adapters of %s as a folder of PEFT', output, checkpoint)
    return output
