"""Low-rank adapters in PEFT's format: adapter_config.json and adapter_model.safetensors.

PEFT multiplies from the left: its `lora_A.weight` is [rank, inputs] where `lora_a` is [inputs, rank]. It
holds every projection's adapter under the name of the module in Hugging Face's network.
"""

import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from llmrec_jax import files
from llmrec_jax.models.hf_weights.writing import DTYPES
from llmrec_jax.models.lora import KERNEL, LORA_A, LORA_B, Lora

CONFIG, WEIGHTS = 'adapter_config.json', 'adapter_model.safetensors'
PREFIX = 'base_model.model.'
SUFFIXES = {LORA_A: '.lora_A.weight', LORA_B: '.lora_B.weight'}
# Where PEFT's configuration has another value, its adapter computes something else than ours.
PLAIN = {
    'peft_type': ('LORA',),
    'bias': (None, 'none'),
    'use_rslora': (None, False),
    'use_dora': (None, False),
    'use_qalora': (None, False),
    'fan_in_fan_out': (None, False),
    'lora_bias': (None, False),
    'rank_pattern': (None, {}),
    'alpha_pattern': (None, {}),
    'modules_to_save': (None, []),
    'trainable_token_indices': (None, [], {}),
}

HFName = Callable[[str], str | None]
Shapes = Mapping[str, tuple[int, ...]]


def write_adapter(
    directory: str | os.PathLike,
    lora: Lora,
    adapters: Mapping[str, Float[np.ndarray, '...']],
    kernels: Shapes,
    hf_name: HFName,
    *,
    task_type: str,
    base: str,
    dtype: str = 'float32',
) -> pathlib.Path:
    """Writes a folder that `peft.PeftModel.from_pretrained` reads.

    Args:
      directory: a new or an empty folder.
      lora: of the network.
      adapters: path of each `lora_a` and `lora_b`, with one subtree a layer, to its value.
      kernels: paths and shapes of the network's other parameters.
      hf_name: from the path of a kernel to Hugging Face's name of it.
      task_type: PEFT's word for the network: 'SEQ_2_SEQ_LM' or 'CAUSAL_LM'.
      base: what the adapted network is called.
      dtype: that the tensors are stored in, 'float32' or 'bfloat16'.

    Returns:
      The folder.

    Raises:
      ValueError: when Hugging Face's network has no such projection, or the type is not known.
      FileExistsError: when `directory` holds anything.
    """
    import safetensors.numpy

    if dtype not in DTYPES:
        raise ValueError(f'adapters are written in {" or ".join(DTYPES)}, not in {dtype!r}')
    tensors = {}
    for path, value in adapters.items():
        module, _, matrix = path.rpartition('/')
        name = PREFIX + _module_name(module, hf_name) + SUFFIXES[matrix]
        tensors[name] = np.ascontiguousarray(np.asarray(value).T.astype(jnp.dtype(dtype)))
    with files.folder_written_whole(pathlib.Path(directory)) as folder:
        modules = {path.rpartition('/')[0] for path in adapters}
        targets = _target_modules(modules, kernels, hf_name)
        files.write_json(folder / CONFIG, _config(lora, targets, task_type, base))
        safetensors.numpy.save_file(tensors, folder / WEIGHTS, metadata={'format': 'pt'})
    return pathlib.Path(directory)


def read_adapter(
    directory: str | os.PathLike, kernels: Shapes, hf_name: HFName
) -> tuple[Lora, dict[str, Float[np.ndarray, '...']]]:
    """Reads a folder that PEFT's `save_pretrained` wrote.

    Args:
      directory: holds adapter_config.json and adapter_model.safetensors.
      kernels: paths and shapes of the parameters of the network that is to be adapted, with one subtree a
        layer.
      hf_name: from the path of a kernel to Hugging Face's name of it.

    Returns:
      What the adapters are, and path of each `lora_a` and `lora_b` to its float32 value.

    Raises:
      FileNotFoundError: if a file is not there.
      ValueError: if a file is damaged, the adapters are of a kind that this library has not, or they are of
        another network than `kernels` (its projections or their widths) or of another rank than they say.
    """
    folder = pathlib.Path(directory)
    config, tensors = _read_config(folder), _read_tensors(folder / WEIGHTS)
    by_name = {
        hf_name(path).removesuffix('.weight'): path.removesuffix(f'/{KERNEL}')
        for path in kernels
        if path.endswith(f'/{KERNEL}') and hf_name(path) is not None
    }
    found: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        matrix = next((ours for ours, theirs in SUFFIXES.items() if name.endswith(theirs)), None)
        module = matrix and by_name.get(name.removeprefix(PREFIX).removesuffix(SUFFIXES[matrix]))
        if module is None:
            raise ValueError(
                f'{folder} is no adapter of this network: it has {name}, and the network no such projection; '
                f'name the network that it adapts ({config.get("base_model_name_or_path")})'
            )
        found[f'{module}/{matrix}'] = _checked(folder, name, tensor.T, module, matrix, config['r'], kernels)
    lora = Lora(_patterns(found, kernels), config['r'], config['lora_alpha'], config['lora_dropout'])
    for module in {path.rpartition('/')[0] for path in found}:
        if missing := next((name for name in SUFFIXES if f'{module}/{name}' not in found), None):
            raise ValueError(f'{folder / WEIGHTS} lacks {missing} of {module}; get the folder again')
    if not found:
        raise ValueError(f'{folder / WEIGHTS} holds no adapter; get the folder again')
    return lora, found


def _checked(
    folder: pathlib.Path,
    name: str,
    value: Float[np.ndarray, '...'],
    module: str,
    matrix: str,
    rank: int,
    kernels: Shapes,
) -> Float[np.ndarray, '...']:
    inputs, features = kernels[f'{module}/{KERNEL}']
    expected = {LORA_A: (inputs, rank), LORA_B: (rank, features)}[matrix]
    if value.shape != expected:
        raise ValueError(
            f'{folder} is no adapter of this network, or not of rank {rank} as its {CONFIG} says: {name} has '
            f'shape {value.shape[::-1]}, and {module} of this network takes {expected[::-1]}'
        )
    return np.ascontiguousarray(value.astype(np.float32))


def _module_name(module: str, hf_name: HFName) -> str:
    name = hf_name(f'{module}/{KERNEL}')
    if name is None:
        raise ValueError(f"{module} has no place in Hugging Face's network, so PEFT cannot adapt it")
    return name.removesuffix('.weight')


def _target_modules(modules: set[str], kernels: Shapes, hf_name: HFName) -> list[str]:
    """Last parts of the modules' names where all that bear them are adapted, otherwise whole names."""
    projections = {
        path.removesuffix(f'/{KERNEL}')
        for path in kernels
        if path.endswith(f'/{KERNEL}') and hf_name(path) is not None
    }
    last = {module: _module_name(module, hf_name).rpartition('.')[2] for module in projections}
    partial = {last[module] for module in projections - modules}
    return sorted(
        {_module_name(module, hf_name) if last[module] in partial else last[module] for module in modules}
    )


def _config(lora: Lora, targets: list[str], task_type: str, base: str) -> dict[str, Any]:
    return {
        'base_model_name_or_path': base,
        'bias': 'none',
        'fan_in_fan_out': False,
        'inference_mode': True,
        'lora_alpha': int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,
        'lora_dropout': lora.dropout,
        'peft_type': 'LORA',
        'r': lora.rank,
        'target_modules': targets,
        'task_type': task_type,
    }


def _read_config(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f'{folder} holds no {CONFIG}: it is no folder of PEFT')
    try:
        config = json.loads(files.read_text(path))
        config = dict(config) | {
            'r': int(config['r']),
            'lora_alpha': float(config['lora_alpha']),
            'lora_dropout': float(config['lora_dropout']),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is damaged ({error!r}); get the folder again') from error
    for name, plain in PLAIN.items():
        if (value := config.get(name)) not in plain:
            raise ValueError(f'{path} has {name}={value!r}, and adapters here have {plain[-1]!r} alone')
    return config


def _read_tensors(path: pathlib.Path) -> dict[str, Float[np.ndarray, '...']]:
    import safetensors.numpy

    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; save the adapter with safe_serialization to get it')
    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f'{path} is damaged or cut short: {error}') from error


def _patterns(found: Mapping[str, Any], kernels: Shapes) -> list[str]:
    """Patterns that match the adapted projections and no others; those of all layers as one."""
    modules = {path.rpartition('/')[0] for path in found}
    layerless: dict[str, set[str]] = {}
    for path in kernels:
        if path.endswith(f'/{KERNEL}'):
            module = path.removesuffix(f'/{KERNEL}')
            layerless.setdefault(re.sub(r'layers_\d+', 'layers', module), set()).add(module)
    patterns: list[str] = []
    for name, in_layers in layerless.items():
        adapted = in_layers & modules
        patterns += [name] if adapted == in_layers else sorted(adapted)
    return patterns
