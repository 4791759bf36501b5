"""Low-rank adapters beside projections (LoRA, Hu et al., arXiv 2106.09685).

A projection `x W` becomes `x W + alpha / rank * dropout(x) A B` (section 4.1), with the matrices `lora_a` and
`lora_b` beside its `kernel`. B begins at zero, so that an adapted network begins as the one that it adapts.

A network says in its configuration which projections have adapters; each projection passes its product
through `adapted`. What is in the parameters decides whether one is applied: parameters without adapters, such
as `merged` makes, are those of the plain network.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax import marks
from llmrec_jax.models.dropout import DIGITS, kept, kept_of
from llmrec_jax.models.projection import product, project

KERNEL, LORA_A, LORA_B = 'kernel', 'lora_a', 'lora_b'
RANK_AXIS = 'lora_rank'
# What `Trainer.trained` says of the paths of adapters.
ADAPTERS = (r'.*/lora_[ab]',)
# What PEFT draws: kaiming_uniform with a = sqrt(5), which is uniform within 1 / sqrt(width).
A_INIT = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')


# How a trained network answers: with its adapters beside their kernels, or added to them once and for all.
APART, MERGED = AT_INFERENCE = ('apart', 'merged')


@dataclasses.dataclass(frozen=True)
class Lora:
    """Which projections have adapters, and of what kind.

    Attributes:
      patterns: regular expressions, of which one has to match the whole path of a projection, such as
        'decoder/layers_0/self_attention/query'; 'decoder/layers/self_attention/query' stands for all layers.
      rank: width of A and height of B.
      alpha: what the product of the two is multiplied by, times rank.
      dropout: share of a projection's inputs that its adapter does not see in training, in [0, 1).
      at_inference: 'apart', or 'merged' for kernels that adapters are added to when a trained network is
        restored to answer: as fast as the plain network, but for the rounding the same.

    Raises:
      ValueError: for a number out of its range, a pattern that is no regular expression, or no pattern.
    """

    patterns: Sequence[str] = (r'.*attention/(query|value)',)
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    at_inference: str = marks.without_effect(APART)

    def __post_init__(self):
        # A tuple is hashable, which flax asks of a module's fields; gin hands over lists.
        object.__setattr__(self, 'patterns', tuple(self.patterns))
        if not self.patterns:
            raise ValueError('Lora.patterns names no projection: leave the network without a Lora instead')
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f'Lora.patterns: {pattern!r} is no regular expression: {error}') from error
        if self.rank < 1:
            raise ValueError(f'Lora.rank={self.rank} must be at least 1')
        if not self.alpha > 0:
            raise ValueError(f'Lora.alpha={self.alpha} must be above 0')
        if not 0 <= self.dropout < 1:
            raise ValueError(f'Lora.dropout={self.dropout} must be in [0, 1)')
        if self.at_inference not in AT_INFERENCE:
            raise ValueError(f'Lora.at_inference={self.at_inference!r} must be one of {AT_INFERENCE}')

    @property
    def scale(self) -> float:
        """What A B is multiplied by."""
        return self.alpha / self.rank

    def matches(self, path: str) -> bool:
        """Whether the projection at a path has an adapter."""
        return any(_matches(pattern, path) for pattern in self.patterns)


@runtime_checkable
class Adaptable(Protocol):
    """A model whose network may have adapters."""

    @property
    def lora(self) -> Lora | None:
        """Which projections have adapters; None for none."""
        ...


def _matches(pattern: str, path: str) -> bool:
    return any(re.fullmatch(pattern, name) for name in (path, re.sub(r'layers_\d+', 'layers', path)))


def adapted(
    projection: nn.Module,
    lora: Lora | None,
    inputs: Float[Array, '*batch inputs'],
    outputs: Float[Array, '*batch features'],
    kernel_axes: tuple[str, str],
) -> Float[Array, '*batch features']:
    """The outputs of a projection with its adapter's share.

    Dropout is on where the module is given a 'dropout' key.

    Args:
      projection: the module, in whose compact method this is called.
      lora: which projections have adapters; None for none.
      inputs: of the projection, in the type of the multiplication.
      outputs: the product with its kernel.
      kernel_axes: logical names of the kernel's two axes.
    """
    if lora is None:
        return outputs
    # A layer may be called on its own slice of the parameters, where it knows no path.
    if projection.is_initializing():
        present = lora.matches('/'.join(projection.path))
    else:
        present = projection.has_variable('params', LORA_A)
    if not present:
        return outputs
    width, features = inputs.shape[-1], outputs.shape[-1]
    first, last = kernel_axes
    a = partitioning.param_with_axes(LORA_A, A_INIT, (width, lora.rank), jnp.float32, axes=(first, RANK_AXIS))
    b = partitioning.param_with_axes(
        LORA_B, nn.initializers.zeros, (lora.rank, features), jnp.float32, axes=(RANK_AXIS, last)
    )
    if lora.dropout and projection.has_rng('dropout'):
        share = kept_of(lora.dropout)
        mask = kept(projection.make_rng('dropout'), share, inputs.shape)
        inputs = jnp.where(mask, inputs * (2**DIGITS / share), 0.0).astype(inputs.dtype)
    # Rematerialization keeps the narrow product and makes the wide one again.
    return outputs + lora.scale * product(project(inputs, a), b)


def check_matched(lora: Lora | None, params: Mapping[str, Any]) -> None:
    """Checks that every pattern matches a projection.

    Args:
      lora: which projections have adapters; None for none.
      params: of the network, or their shapes.

    Raises:
      ValueError: when one matches none; the message says which projections there are.
    """
    if lora is None:
        return
    named = traverse_util.flatten_dict(dict(params), sep='/')
    paths = [path.removesuffix(f'/{KERNEL}') for path in named if path.endswith(f'/{KERNEL}')]
    for pattern in lora.patterns:
        if not any(_matches(pattern, path) for path in paths):
            known = sorted({re.sub(r'layers_\d+', 'layers_*', path) for path in paths})
            raise ValueError(
                f'Lora.patterns: {pattern!r} matches no projection of the network; it has {", ".join(known)}'
            )


def is_adapter(path: str) -> bool:
    """Whether the parameter at a path is of an adapter."""
    return path.endswith((f'/{LORA_A}', f'/{LORA_B}'))


def merged(params: Mapping[str, Any], lora: Lora) -> dict[str, Any]:
    """Parameters with each adapter added to its kernel, in float32, and left out.

    Args:
      params: of a network with adapters.
      lora: of the network.
    """
    named = traverse_util.flatten_dict(dict(params), sep='/')
    plain = {path: value for path, value in named.items() if not is_adapter(path)}
    for path in plain:
        module = path.removesuffix(f'/{KERNEL}')
        if f'{module}/{LORA_A}' in named:
            a, b = named[f'{module}/{LORA_A}'], named[f'{module}/{LORA_B}']
            plain[path] = merged_kernel(plain[path], a, b, lora.scale)
    return traverse_util.unflatten_dict(plain, sep='/')


def merged_kernel(
    kernel: Float[Any, '*layers inputs features'],
    a: Float[Any, '*layers inputs rank'],
    b: Float[Any, '*layers rank features'],
    scale: float,
) -> Float[Any, '*layers inputs features']:
    """`kernel + scale a b`, summed in float32 and rounded to the kernel's type; of numpy or of JAX arrays."""
    numbers = np if isinstance(kernel, np.ndarray) else jnp
    share = numbers.matmul(a.astype(np.float32), b.astype(np.float32))
    return (kernel.astype(np.float32) + np.float32(scale) * share).astype(kernel.dtype)
