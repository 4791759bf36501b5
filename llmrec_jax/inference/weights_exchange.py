"""T5 weights brought from Hugging Face's layout into a checkpoint, and back."""

import dataclasses
import functools
import logging
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from llmrec_jax import files
from llmrec_jax.models.hf_weights import load_hf, write_hf
from llmrec_jax.models.hf_weights.names import parameter_shapes
from llmrec_jax.models.hf_weights.writing import check_exportable
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.text.hf_tokenizer import SPIECE, tokenizer_files
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.checkpoints import Checkpoints, saved_steps
from llmrec_jax.training.parameter_restore import open_params
from llmrec_jax.training.stored_arrays import ReadableArray
from llmrec_jax.training.train_state import TrainState

LOG = logging.getLogger(__name__)
NETWORK = 'network.gin'


def import_folder(source: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Makes a checkpoint of a Hugging Face folder, and a gin file that configures its network.

    Args:
      source: holds config.json and model.safetensors, or several files and their index.
      output: receives `checkpoint_0`, `network.gin`, and spiece.model where `source` has one.

    Returns:
      The checkpoint, which `Trainer.initial_checkpoint` and `--checkpoint` take, and T5X too.

    Raises:
      FileNotFoundError, ValueError: as `models.hf_weights.load_hf`.
      FileExistsError: when `output` holds a checkpoint already.
      CheckpointError: when the checkpoint cannot be written.
    """
    if found := saved_steps(output):
        raise FileExistsError(f'{output} holds checkpoint_{found[0]} already; give another folder')
    config, params = load_hf(source, dropout_rate=None)
    checkpoints = Checkpoints(output, keep=1)
    try:
        checkpoints.save(0, TrainState(step=np.zeros((), np.int32), params=params, opt_state=()))
        checkpoints.wait()
    finally:
        checkpoints.close()
    files.write_text(output / NETWORK, network_gin(config, source))
    if (source / SPIECE).is_file():
        with files.written_whole(output / SPIECE) as copy, (source / SPIECE).open('rb') as original:
            shutil.copyfileobj(original, copy)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    LOG.info('%d parameters: %s; their network: %s', count, checkpoints.path(0), output / NETWORK)
    return checkpoints.path(0)


def export_folder(
    config: T5Config,
    checkpoint: str | pathlib.Path,
    output: pathlib.Path,
    *,
    dtype: str = 'float32',
    vocabulary: TextVocabulary | None = None,
    leave_out_extra: bool = False,
) -> pathlib.Path:
    """Makes a Hugging Face folder of a checkpoint.

    Args:
      config: of the network that the checkpoint is of; its layers may be stacked there or not.
      checkpoint: a folder `checkpoint_<step>` of this library or of T5X, local or `gs://`.
      output: see `models.hf_weights.write_hf`, as for the others.
      dtype: that weights are stored in.
      vocabulary: of inputs and targets, written so that transformers' `AutoTokenizer` gives the same ids;
        None for none.
      leave_out_extra: whether parameters that Hugging Face's T5 lacks may be left out.

    Raises:
      CheckpointError: when the checkpoint is not there, is damaged, or is of another network.
      ValueError, FileExistsError: as `write_hf`; and when the network has no room for the vocabulary, or its
        ids would be others.
    """
    check_exportable(output, config, leave_out_extra, dtype)
    if vocabulary is not None and vocabulary.size > config.vocab_size:
        raise ValueError(
            f'{vocabulary.path} has {vocabulary.size} tokens, {vocabulary.extra_ids} of them extra ids, and '
            f'the network has room for {config.vocab_size}: it is of another network'
        )
    beside = {} if vocabulary is None else tokenizer_files(vocabulary)
    found = open_params(checkpoint, parameter_shapes(config))
    readers = {path: _reader(array) for path, array in found.items()}
    write_hf(
        output,
        config,
        readers,
        dtype=dtype,
        beside=beside,
        leave_out_extra=leave_out_extra,
    )
    LOG.info('%s: %s as a Hugging Face folder', output, checkpoint)
    if vocabulary is None:
        LOG.warning(
            '%s has no vocabulary, and AutoTokenizer cannot read it: export again to another folder with '
            '--vocabulary=FILE, the SentencePiece model of the examples (and --extra_ids)',
            output,
        )
    return output


def network_gin(config: T5Config, source: pathlib.Path) -> str:
    """A gin file for a network, in the manner of gin_configs/models."""
    lines = [
        f'# The network of {source.name}; give it after a recipe with another --gin_file.',
        'from __gin__ import dynamic_registration',
        '',
        'from llmrec_jax.models.t5 import config',
        '',
        *(f'config.T5Config.{name} = {value!r}' for name, value in _shape(config).items()),
    ]
    return '\n'.join(lines) + '\n'


def _shape(config: T5Config) -> dict[str, Any]:
    """What config.json says of a network; how it is computed is the recipe's."""
    names = ('vocab_size', 'emb_dim', 'num_heads', 'head_dim', 'mlp_dim', 'num_encoder_layers')
    names += ('num_decoder_layers', 'mlp_activations', 'dropout_rate', 'logits_via_embedding')
    values = dataclasses.asdict(config)
    return {name: values[name] for name in names}


def _reader(array: ReadableArray) -> Callable[[], np.ndarray]:
    return functools.partial(array.read, tuple(slice(0, size) for size in array.shape))
