"""Weights brought from Hugging Face's layout or a GGUF file into a checkpoint, and back to the former."""

import dataclasses
import functools
import logging
import pathlib
import shutil
from collections.abc import Callable, Mapping

import jax
import numpy as np

from llmrec_jax import files, marks
from llmrec_jax.models.gguf_weights import load_gguf
from llmrec_jax.models.hf_weights import load_hf, write_hf
from llmrec_jax.models.hf_weights.layout import Config, layout_of
from llmrec_jax.models.hf_weights.writing import check_exportable
from llmrec_jax.models.lora import KERNEL, LORA_A, LORA_B, Lora, is_adapter, merged_kernel
from llmrec_jax.text.hf_tokenizer import SPIECE, tokenizer_files
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.checkpoints import saved_steps
from llmrec_jax.training.parameter_restore import open_params
from llmrec_jax.training.start_checkpoint import add_parameters
from llmrec_jax.training.stored_arrays import ReadableArray

LOG = logging.getLogger(__name__)
NETWORK = 'network.gin'
# Of T5; of LLaMA 2 and Gemma; of all others.
VOCABULARY_FILES = (
    SPIECE,
    'tokenizer.model',
    'tokenizer.json',
    'tokenizer_config.json',
    'chat_template.jinja',
)
# Fields of a configuration that say how a network is computed, not which it is.
COMPUTED = (
    'whole_word_embeddings',
    'dtype',
    'float32_attention_logits',
    'attention',
    'one_hot_embedding',
    'remat_policy',
    'scan_layers',
)


def import_folder(source: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Makes a checkpoint of a Hugging Face folder or a GGUF file, and a gin file that configures its network.

    Args:
      source: holds config.json and model.safetensors, or several files and their index; or is a GGUF file.
      output: receives `checkpoint_0`, `network.gin`, and of a folder the vocabulary's files.

    Returns:
      The checkpoint, which `Trainer.initial_checkpoint` and `--checkpoint` take, and T5X too.

    Raises:
      FileNotFoundError, ValueError, RuntimeError: as `models.hf_weights.load_hf` and
        `models.gguf_weights.load_gguf`.
      FileExistsError: when `output` holds a checkpoint already.
      CheckpointError: when the checkpoint cannot be written.
    """
    if found := saved_steps(output):
        raise FileExistsError(f'{output} holds checkpoint_{found[0]} already; give another folder')
    config, params = load_gguf(source) if source.is_file() else load_hf(source, dropout_rate=None)
    checkpoint = add_parameters(params, output)
    files.write_text(output / NETWORK, network_gin(config, source))
    for name in VOCABULARY_FILES:
        if (source / name).is_file():
            with files.written_whole(output / name) as copy, (source / name).open('rb') as original:
                shutil.copyfileobj(original, copy)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    LOG.info('%d parameters: %s; their network: %s', count, checkpoint, output / NETWORK)
    return checkpoint


def export_folder(
    config: Config,
    checkpoint: str | pathlib.Path,
    output: pathlib.Path,
    *,
    dtype: str = 'float32',
    vocabulary: TextVocabulary | None = None,
    leave_out_extra: bool = False,
) -> pathlib.Path:
    """Makes a Hugging Face folder of a checkpoint, adapters merged into their kernels.

    Args:
      config: of the network that the checkpoint is of; its layers may be stacked there or not.
      checkpoint: a folder `checkpoint_<step>` of this library or of T5X, local or `gs://`.
      output: see `models.hf_weights.write_hf`, as for the others.
      dtype: that weights are stored in.
      vocabulary: of inputs and targets, written so that transformers' `AutoTokenizer` gives the same ids;
        None for none.
      leave_out_extra: whether parameters that Hugging Face's lacks may be left out.

    Raises:
      CheckpointError: when the checkpoint is not there, is damaged, or is of another network.
      ValueError, FileExistsError: as `write_hf`; and when the network has no room for the vocabulary, or its
        ids would be others.
    """
    plain = dataclasses.replace(config, lora=None)
    check_exportable(output, plain, leave_out_extra, dtype)
    if vocabulary is not None and vocabulary.size > config.vocab_size:
        raise ValueError(
            f'{vocabulary.path} has {vocabulary.size} tokens, {vocabulary.extra_ids} of them extra ids, and '
            f'the network has room for {config.vocab_size}: it is of another network'
        )
    beside = {} if vocabulary is None else tokenizer_files(vocabulary)
    found = open_params(checkpoint, layout_of(config).parameter_shapes(config))
    write_hf(
        output,
        plain,
        _merging(found, config.lora),
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


def network_gin(config: Config, source: pathlib.Path) -> str:
    """A gin file for a network, in the manner of gin_configs/models; how it is computed is the recipe's."""
    package, _, module = layout_of(config).gin_module.rpartition('.')
    lines = [
        f'# The network of {source.name}; give it after a recipe with another --gin_file.',
        'from __gin__ import dynamic_registration',
        '',
        *(['from llmrec_jax.models import lora'] if config.lora else []),
        f'from {package} import {module}',
        '',
    ]
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f'{module}.{type(config).__name__}.{field.name}'
        if field.name in COMPUTED or marks.is_silent(field, value):
            continue
        if not dataclasses.is_dataclass(value):
            lines.append(f'{name} = {value!r}')
            continue
        kind = f'{"lora" if isinstance(value, Lora) else module}.{type(value).__name__}'
        lines.append(f'{name} = @{kind}()')
        lines += [
            f'{kind}.{part.name} = {getattr(value, part.name)!r}'
            for part in dataclasses.fields(value)
            if marks.decides_result(part)
        ]
    return '\n'.join(lines) + '\n'


def whole(array: ReadableArray) -> Callable[[], np.ndarray]:
    """What reads all of an array."""
    return functools.partial(array.read, tuple(slice(0, size) for size in array.shape))


def _merging(found: Mapping[str, ReadableArray], lora: Lora | None) -> dict[str, Callable[[], np.ndarray]]:
    """What reads each parameter of the plain network; no more than one kernel is merged at a time."""
    readers = {path: whole(array) for path, array in found.items()}

    def merging(path: str) -> Callable[[], np.ndarray]:
        module = path.removesuffix(f'/{KERNEL}')
        if f'{module}/{LORA_A}' not in readers:
            return readers[path]
        parts = (readers[f'{module}/{name}'] for name in (KERNEL, LORA_A, LORA_B))
        return functools.partial(lambda *read: merged_kernel(*(part() for part in read), lora.scale), *parts)

    return {path: merging(path) for path in readers if not is_adapter(path)}
