"""Attention in one kernel, which never writes the scores to memory, where the backend has one.

On a GPU it is cuDNN's (`jax.nn.dot_product_attention`), on a TPU the Pallas kernel that comes with JAX. Both
compute in float32 inside, and both take T5's learned bias. For its gradient the TPU kernel does write the
gradient of the scores, so that rows go through it a few at a time.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax.linen import partitioning
from jax.experimental.pallas.ops.tpu import flash_attention as flash
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from llmrec_jax.models.t5.masks import Visibility

# Shorter queries leave scores too small to be worth a kernel; the TPU's works in tiles of this size.
TILE = 128
# Rows that the TPU's kernel takes at once: it wants the bias of each in memory, and writes its gradient.
ROWS_AT_ONCE = 8
# Any number that no example's segment has: padding keys are of no query's segment.
PADDING = -1

Heads = Float[Array, 'batch length heads head_dim']
Bias = Float[Array, 'heads query key']


def is_worth_fusing(query_length: int, key_length: int) -> bool:
    """Whether the scores of such an attention are large enough for a kernel of their own."""
    return min(query_length, key_length) >= TILE


def fused_attention(
    queries: Heads, keys: Heads, values: Heads, visibility: Visibility, bias: Bias | None
) -> Heads:
    """Softmax attention with unscaled scores plus `bias`, by the kernel of the mesh's devices.

    Raises:
      ValueError: on a backend without such a kernel, or for lengths or types that it does not take.
    """
    mesh = jax.sharding.get_abstract_mesh()
    platform = jax.default_backend() if mesh.empty else mesh.abstract_device.platform
    if platform == 'tpu':
        return _over_shards(tpu_attention, queries, keys, values, visibility, bias)
    if platform in ('gpu', 'cuda'):
        return gpu_attention(queries, keys, values, visibility, bias)
    raise ValueError(
        f"T5Config.attention='fused' needs a TPU or an NVIDIA GPU, and this runs on {platform!r}; "
        "use attention='plain'"
    )


def gpu_attention(
    queries: Heads,
    keys: Heads,
    values: Heads,
    visibility: Visibility,
    bias: Bias | None,
    implementation: str = 'cudnn',
) -> Heads:
    """`fused_attention` by cuDNN.

    Padding is told by each row's number of real keys, so padding must come last; packed rows need a mask,
    which is then added to the bias row by row and takes the memory that the kernel saves elsewhere.

    Args:
      queries: not scaled.
      keys: of the positions attended to.
      values: likewise.
      visibility: which of them a query sees.
      bias: shared by all rows.
      implementation: 'cudnn', or 'xla' for the same computation without cuDNN.
    """
    odd = [length for length in (queries.shape[1], keys.shape[1]) if length % 2]
    if odd or queries.dtype != jnp.bfloat16:
        raise ValueError(
            f"T5Config.attention='fused' on a GPU needs even lengths and dtype='bfloat16', not length "
            f"{(odd or queries.shape[1:2])[0]} and {queries.dtype}; pad to an even length or use 'plain'"
        )
    packed = visibility.query_segments is not None
    return jax.nn.dot_product_attention(
        queries,
        keys,
        values,
        None if bias is None else jnp.expand_dims(bias, 0).astype(queries.dtype),
        visibility.mask() if packed else None,
        scale=1.0,
        is_causal=visibility.causal and not packed,
        key_value_seq_lengths=None if packed else jnp.sum(visibility.keys_are_real, axis=1, dtype=jnp.int32),
        implementation=implementation,
    )


def tpu_attention(
    queries: Heads, keys: Heads, values: Heads, visibility: Visibility, bias: Bias | None
) -> Heads:
    """`fused_attention` by the Pallas kernel, on one device; lengths must be multiples of `TILE`.

    Raises:
      ValueError: for other lengths.
    """
    lengths = queries.shape[1], keys.shape[1]
    if any(length % TILE for length in lengths):
        raise ValueError(
            f"T5Config.attention='fused' on a TPU needs lengths that are multiples of {TILE}, not "
            f"{lengths[0]} queries and {lengths[1]} keys; pad to one, or use attention='plain'"
        )
    segments = flash.SegmentIds(
        jnp.zeros(queries.shape[:2], jnp.int32)
        if visibility.query_segments is None
        else visibility.query_segments,
        jnp.where(
            visibility.keys_are_real,
            0 if visibility.key_segments is None else visibility.key_segments,
            PADDING,
        ),
    )

    rows_at_once = math.gcd(len(queries), ROWS_AT_ONCE)

    def few_rows(rows: Any) -> Heads:
        *heads, segments = rows
        attended = flash.flash_attention(
            *(part.swapaxes(1, 2) for part in heads),
            # Spread here, so that what the loop adds up for the gradient is one bias, not one a row.
            None if bias is None else jnp.broadcast_to(bias, (rows_at_once, *bias.shape)),
            segments,
            causal=visibility.causal,
            block_sizes=_block_sizes(*lengths),
        )
        return attended.swapaxes(1, 2)

    rows = (queries, keys, values, segments)
    grouped = jax.tree.map(lambda part: part.reshape(-1, rows_at_once, *part.shape[1:]), rows)
    return jax.lax.map(few_rows, grouped).reshape(queries.shape)


def _block_sizes(query_length: int, key_length: int) -> flash.BlockSizes:
    """Tiles as large as divide the lengths, up to 512: fewer, larger steps of the kernel's grid."""
    query, key = (
        next(size for size in (512, 384, 256, TILE) if length % size == 0)
        for length in (query_length, key_length)
    )
    return flash.BlockSizes(
        block_q=query,
        block_k_major=key,
        block_k=key,
        block_b=1,
        block_q_major_dkv=query,
        block_k_major_dkv=key,
        block_k_dkv=key,
        block_q_dkv=query,
        block_k_major_dq=key,
        block_k_dq=key,
        block_q_dq=query,
    )


def _over_shards(
    attention: Callable[..., Any],
    queries: Heads,
    keys: Heads,
    values: Heads,
    visibility: Visibility,
    bias: Bias | None,
) -> Heads:
    """Runs `attention` on each device's rows and heads, because XLA cannot divide a Pallas kernel."""
    if jax.sharding.get_abstract_mesh().empty:
        return attention(queries, keys, values, visibility, bias)
    rows, heads = partitioning.logical_to_mesh_axes(('batch', 'heads'))
    whole = PartitionSpec(rows, None, heads)
    in_specs = (whole, whole, whole, PartitionSpec(rows), PartitionSpec(heads))
    return jax.shard_map(attention, in_specs=in_specs, out_specs=whole, check_vma=False)(
        queries, keys, values, visibility, bias
    )
