"""How each of the library's networks lies in a Hugging Face folder."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.hf_weights import config_file, decoder_config_file, decoder_names, names
from llmrec_jax.models.t5.config import T5Config

Config = T5Config | DecoderConfig


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names, shapes and configuration of a kind of network there.

    Attributes:
      kind: what Hugging Face calls it, for messages.
      hf_name: from one of our paths to the tensor's name; None where there is no such tensor.
      is_transposed: whether the two sides store the matrix at a path the other way round.
      parameter_shapes: of a configuration, path and shape of each parameter, with one subtree a layer.
      config_content: of a configuration and the type of its tensors, what `config.json` says.
      embedding: name of the embedding.
      copies: further names under which it may be stored too.
      stored_once: names to those under which the tensor may be stored in their place.
      is_unread: whether a tensor of this name is part of some files and read by nothing.
      task_type: PEFT's word for it.
      gin_module: where gin files, as those of `gin_configs/models`, have the configuration's class from; gin
        knows a class by one module alone.
      tokens: ids that `config.json` and `generation_config.json` have where a caller gives none.
    """

    kind: str
    hf_name: Callable[[str], str | None]
    is_transposed: Callable[[str], bool]
    parameter_shapes: Callable[[Any], Mapping[str, tuple[int, ...]]]
    config_content: Callable[[Any, str], dict[str, Any]]
    embedding: str
    copies: tuple[str, ...]
    stored_once: Mapping[str, tuple[str, ...]]
    is_unread: Callable[[str], bool]
    task_type: str
    gin_module: str
    tokens: Mapping[str, int]


@functools.singledispatch
def layout_of(config: Any) -> Layout:
    """The layout of a configuration's kind of network.

    Raises:
      TypeError: when Hugging Face has none that is known here.
    """
    raise TypeError(f'there is no Hugging Face layout for a {type(config).__name__}')


@layout_of.register
def _t5(config: T5Config) -> Layout:
    del config
    return Layout(
        kind="Hugging Face's T5",
        hf_name=names.hf_name,
        is_transposed=names.is_transposed,
        parameter_shapes=names.parameter_shapes,
        config_content=config_file.config_content,
        embedding=names.EMBEDDING,
        copies=(names.HEAD, *names.COPIES),
        # The embedding of both stacks, and a head that is the embedding (in T5 1.1 too, where it is not
        # scaled), are stored under whichever of their names the writer kept.
        stored_once={
            names.HEAD: (names.EMBEDDING, *names.COPIES),
            names.EMBEDDING: (*names.COPIES, names.HEAD),
        },
        is_unread=names.UNREAD.__contains__,
        task_type='SEQ_2_SEQ_LM',
        gin_module='llmrec_jax.models.t5.config',
        tokens=config_file.TOKENS,
    )


@layout_of.register
def _decoder(config: DecoderConfig) -> Layout:
    del config
    return Layout(
        kind="Hugging Face's LLaMA, Qwen and Gemma",
        hf_name=decoder_names.hf_name,
        is_transposed=decoder_names.is_transposed,
        parameter_shapes=decoder_names.parameter_shapes,
        config_content=decoder_config_file.config_content,
        embedding=decoder_names.EMBEDDING,
        copies=(decoder_names.HEAD,),
        stored_once={},
        is_unread=decoder_names.is_unread,
        task_type='CAUSAL_LM',
        gin_module='llmrec_jax.models.decoder_only',
        tokens={},
    )
