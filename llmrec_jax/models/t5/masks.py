"""Which key positions a query may attend to. Token 0 is padding."""

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

Mask = Bool[Array, 'batch 1 #query key']


@flax.struct.dataclass
class Visibility:
    """What hides keys from queries; fused attention works from it, plain attention from its `mask`.

    Queries that are padding are not masked: nothing reads what they compute.

    Attributes:
      keys_are_real: which keys are no padding, [batch, key] bool.
      query_segments: in packed rows the example that a query is of, [batch, query] int; else None.
      key_segments: likewise of the keys.
      causal: whether a query sees no keys after its own position.
    """

    keys_are_real: Bool[Array, 'batch key']
    query_segments: Int[Array, 'batch query'] | None = None
    key_segments: Int[Array, 'batch key'] | None = None
    causal: bool = flax.struct.field(pytree_node=False, default=False)

    def mask(self) -> Mask:
        """True where the query may attend to the key."""
        mask = self.keys_are_real[:, None, None, :]
        if self.query_segments is not None:
            mask = mask & (self.query_segments[:, None, :, None] == self.key_segments[:, None, None, :])
        if self.causal:
            positions = jnp.arange(self.keys_are_real.shape[1])
            mask = mask & jnp.expand_dims(positions[:, None] >= positions[None, :], (0, 1))
        return mask


def encoder_visibility(
    tokens: Int[Array, 'batch length'], segment_ids: Int[Array, 'batch length'] | None = None
) -> Visibility:
    """Real tokens, of the query's own segment where rows are packed."""
    return Visibility(tokens > 0, segment_ids, segment_ids)


def decoder_visibility(
    target_tokens: Int[Array, 'batch length'], segment_ids: Int[Array, 'batch length'] | None = None
) -> Visibility:
    """Real tokens up to the query's own position, of the query's own segment where rows are packed."""
    return Visibility(target_tokens > 0, segment_ids, segment_ids, causal=True)
