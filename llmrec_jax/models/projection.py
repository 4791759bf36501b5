"""A matrix product in the activations' type whose weight gradient is summed in float32."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

# What a rematerialization policy calls the products.
PRODUCT = 'projection'


def project(
    inputs: Float[Array, '*batch inputs'], kernel: Float[Array, 'inputs features']
) -> Float[Array, '*batch features']:
    """`inputs @ kernel`, computed in the type of `inputs`.

    Differentiated by JAX's own rule, a float32 kernel used in bfloat16 has a gradient that is rounded to
    bfloat16 on each device and then summed over the data axis in bfloat16. Here it leaves the multiplication
    in the kernel's type, and is summed over devices in it.
    """
    return checkpoint_name(product(inputs, kernel), PRODUCT)


@jax.custom_vjp
def product(
    inputs: Float[Array, '*batch inputs'], kernel: Float[Array, 'inputs features']
) -> Float[Array, '*batch features']:
    """`project` for a product that rematerialization does not keep."""
    return jnp.dot(inputs, kernel.astype(inputs.dtype))


def _forward(inputs: Any, kernel: Any) -> tuple[Any, tuple[Any, Any]]:
    return product(inputs, kernel), (inputs, kernel)


def _backward(kept: tuple[Any, Any], cotangent: Any) -> tuple[Any, Any]:
    inputs, kernel = kept
    rows = tuple(range(inputs.ndim - 1))
    kernel_gradient = jax.lax.dot_general(
        inputs, cotangent, ((rows, rows), ((), ())), preferred_element_type=kernel.dtype
    )
    return jnp.dot(cotangent, kernel.astype(cotangent.dtype).T), kernel_gradient


product.defvjp(_forward, _backward)
