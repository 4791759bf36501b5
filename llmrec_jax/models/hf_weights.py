"""T5 weights in Hugging Face's layout, read into our tree, which is T5X's.

Needs neither torch nor transformers.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Float

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.relative_position import BUCKETS, MAX_DISTANCE
from llmrec_jax.models.t5.transformer import Transformer

# Hugging Face's 'feed_forward_proj' to our activations; gated-gelu is the tanh approximation in both.
ACTIVATIONS = {
    'relu': ('relu',),
    'gated-gelu': ('gelu', 'linear'),
    'gated-silu': ('silu', 'linear'),
}
# transformers stores a tensor with two names once, so the first may be missing: a head that is the
# embedding (in T5 1.1 too, where it is not scaled), or the embedding of an encoder.
STORED_ONCE = {'lm_head.weight': 'shared.weight', 'shared.weight': 'encoder.embed_tokens.weight'}
Tensors = Mapping[str, Float[np.ndarray, '...']]


def read_config(directory: str | pathlib.Path, dtype: Any = 'float32', dropout_rate: float = 0.0) -> T5Config:
    """The `T5Config` that a folder's config.json describes.

    Raises:
      FileNotFoundError: if there is no config.json.
      ValueError: if the file is not JSON, a key is missing, or the network is one that ours is not.
    """
    path = pathlib.Path(directory) / 'config.json'
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: a Hugging Face folder has one')
    try:
        hf = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
    fixed = {
        'relative_attention_num_buckets': BUCKETS,
        'relative_attention_max_distance': MAX_DISTANCE,
        'layer_norm_epsilon': 1e-6,
    }
    for key, value in fixed.items():
        if hf.get(key, value) != value:
            raise ValueError(f'{path}: {key} is {hf[key]}, this network has {value}')
    activation = hf.get('feed_forward_proj', 'relu')
    if activation not in ACTIVATIONS:
        raise ValueError(f'{path}: feed_forward_proj is {activation!r}, known are {sorted(ACTIVATIONS)}')
    try:
        return T5Config(
            vocab_size=hf['vocab_size'],
            emb_dim=hf['d_model'],
            num_heads=hf['num_heads'],
            head_dim=hf['d_kv'],
            mlp_dim=hf['d_ff'],
            num_encoder_layers=hf['num_layers'],
            num_decoder_layers=hf.get('num_decoder_layers') or hf['num_layers'],
            mlp_activations=ACTIVATIONS[activation],
            dropout_rate=dropout_rate,
            # transformers 5 calls every T5 tied and tells 1.0 from 1.1 by the scale.
            logits_via_embedding=hf.get('scale_decoder_outputs', hf.get('tie_word_embeddings', True)),
            dtype=dtype,
        )
    except KeyError as error:
        raise ValueError(f'{path} has no {error}') from error


def read_tensors(directory: str | pathlib.Path) -> dict[str, Float[np.ndarray, '...']]:
    """All tensors of a folder's `*.safetensors`, as float32.

    Raises:
      FileNotFoundError: if there are none.
      ValueError: if a file is damaged.
    """
    import safetensors.flax

    files = sorted(pathlib.Path(directory).glob('*.safetensors'))
    if not files:
        raise FileNotFoundError(
            f'{directory} holds no *.safetensors; save the model with safe_serialization to get them'
        )
    tensors = {}
    for path in files:
        try:
            tensors |= safetensors.flax.load_file(path)
        except safetensors.SafetensorError as error:
            raise ValueError(f'{path} is damaged or cut short: {error}') from error
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


def params_from_hf(tensors: Tensors, config: T5Config, encoder_only: bool = False) -> dict[str, Any]:
    """The tensors of a `T5ForConditionalGeneration` (or a `T5EncoderModel`) as parameters of a `Transformer`.

    Args:
      tensors: by Hugging Face's names.
      config: of the same network, with `scan_layers=False`.
      encoder_only: whether to read what `Transformer.encode` needs and no more.

    Raises:
      ValueError: if a tensor is missing or has another shape than `config` says.
    """
    params = {}
    for path, name, shape in _correspondence(config, encoder_only):
        if name not in tensors:
            name = STORED_ONCE.get(name, name)
        if name not in tensors:
            raise ValueError(f'there is no tensor {name!r} for {path}')
        # Kernels multiply from the right here, from the left there; biases are [heads, buckets] here.
        tensor = tensors[name].T if path.endswith(('kernel', 'rel_embedding')) else tensors[name]
        if tensor.shape != shape:
            raise ValueError(f'{name!r} has shape {tensor.shape} where {path} needs {shape}')
        params[path] = tensor
    return traverse_util.unflatten_dict(params, sep='/')


def load_hf(directory: str | pathlib.Path, **config: Any) -> tuple[T5Config, dict[str, Any]]:
    """Config and parameters of a folder that `T5ForConditionalGeneration.save_pretrained` wrote.

    `config` is handed to `read_config`; raises what `read_config`, `read_tensors` and `params_from_hf` raise.
    """
    read = read_config(directory, **config)
    return read, params_from_hf(read_tensors(directory), read)


def _correspondence(config: T5Config, encoder_only: bool) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """(our path, Hugging Face's name, our shape) of each parameter."""
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    variables = jax.eval_shape(
        lambda key, tokens: Transformer(config).init(key, tokens, tokens, tokens, enable_dropout=False),
        jax.random.key(0),
        tokens,
    )
    for path, leaf in traverse_util.flatten_dict(variables['params'], sep='/').items():
        if not (encoder_only and path.startswith('decoder/')):
            yield path, _hf_name(path), leaf.shape


def _hf_name(path: str) -> str:
    """Hugging Face's name of the tensor at one of our paths."""
    stack, *rest = path.split('/')
    if stack == 'token_embedder':
        return 'shared.weight'
    part, leaf = rest[0], rest[1:]
    if part == 'logits_dense':
        return 'lm_head.weight'
    if part == 'relpos_bias':
        return f'{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight'
    if not part.startswith('layers_'):
        return f'{stack}.final_layer_norm.weight'
    sublayers = {
        'encoder': ('attention', 'mlp'),
        'decoder': ('self_attention', 'encoder_decoder_attention', 'mlp'),
    }[stack]
    modules = {
        'attention': 'SelfAttention',
        'self_attention': 'SelfAttention',
        'encoder_decoder_attention': 'EncDecAttention',
        'mlp': 'DenseReluDense',
    }
    block = f'{stack}.block.{part.removeprefix("layers_")}.layer'
    if leaf[0].startswith('pre_'):
        norm = leaf[0].removeprefix('pre_').removesuffix('_layer_norm')
        sublayer = 'encoder_decoder_attention' if norm == 'cross_attention' else norm
        return f'{block}.{sublayers.index(sublayer)}.layer_norm.weight'
    projections = {'query': 'q', 'key': 'k', 'value': 'v', 'out': 'o'}
    projection = projections.get(leaf[1], leaf[1])
    return f'{block}.{sublayers.index(leaf[0])}.{modules[leaf[0]]}.{projection}.weight'
