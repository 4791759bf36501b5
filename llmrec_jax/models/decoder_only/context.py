"""What every layer is given beside the residual stream: rotations and masks, global and local."""

from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.decoder_only.rotary import Rotation, rotation


# jax.tree functions rebuild pytrees around whatever they map to, so the fields' types are not checked.
@no_type_check
@flax.struct.dataclass
class LayerContext:
    """Of global layers, and of local ones where the network has any.

    Attributes:
      turned: rotation of the tokens that are read.
      masks: which keys they see; a pytree.
    """

    turned: Rotation
    masks: Any


# The context of global layers, and that of local ones or None.
Contexts = tuple[LayerContext, LayerContext | None]


def chosen_context(contexts: Contexts, is_local: Bool[Array, '']) -> LayerContext:
    """The context of one layer, which may be one of a scan."""
    everywhere, local = contexts
    if local is None:
        return everywhere
    return jax.tree.map(lambda near, far: jnp.where(is_local, near, far), local, everywhere)


def text_contexts(
    config: DecoderConfig,
    positions: Int[Array, 'batch length'],
    segment_ids: Int[Array, 'batch length'] | None,
    bidirectional: Bool[Array, 'batch length'] | None,
) -> Contexts:
    """The contexts of whole rows.

    Args:
      config: of the network.
      positions: of each token in its own text.
      segment_ids: of packed rows, the text that a token is of.
      bidirectional: which tokens see one another whatever their order (a prefix language model's inputs).
    """
    places = jnp.arange(positions.shape[1])
    distance = places[:, None] - places[None, :]
    mask = jnp.expand_dims(distance >= 0, 0)
    if bidirectional is not None:
        mask = mask | (bidirectional[:, :, None] & bidirectional[:, None, :])
    if segment_ids is not None:
        mask = mask & (segment_ids[:, :, None] == segment_ids[:, None, :])

    def near(window: int) -> Bool[Array, 'batch length length']:
        return mask & jnp.expand_dims(jnp.abs(distance) < window, 0)

    return _contexts(config, positions, mask, near)


def extension_contexts(
    config: DecoderConfig,
    prompt_lengths: Int[Array, 'batch'],
    position: int | Int[Array, ''],
    new: int,
    steps: int,
    prompt_width: int,
) -> Contexts:
    """The contexts of `new` tokens from `position` on of texts that continue prompts.

    Args:
      config: of the network.
      prompt_lengths: tokens of each prompt that are seen.
      position: index of the first new token behind the prompt.
      new: tokens that are read.
      steps: positions that the cache has room for.
      prompt_width: tokens of a prompt, padding included.
    """
    index = position + jnp.arange(new)
    positions = prompt_lengths[:, None] + index[None, :]
    own_distance = index[:, None] - jnp.arange(steps)[None, :]
    places = jnp.expand_dims(jnp.arange(prompt_width), (0, 1))
    prompt_distance = positions[:, :, None] - places
    in_prompt = jnp.broadcast_to(places < jnp.expand_dims(prompt_lengths, (1, 2)), prompt_distance.shape)
    mask = {'own_mask': own_distance >= 0, 'prompt_mask': in_prompt}

    def near(window: int) -> dict[str, Bool[Array, '...']]:
        return {
            'own_mask': mask['own_mask'] & (own_distance < window),
            'prompt_mask': mask['prompt_mask'] & (prompt_distance < window),
        }

    return _contexts(config, positions, mask, near)


def _contexts(config: DecoderConfig, positions: Int[Array, 'batch length'], mask: Any, near: Any) -> Contexts:
    everywhere = LayerContext(
        rotation(positions, config.head_dim, config.rope_base, config.rope_scaling), mask
    )
    if config.sliding_window is None:
        return everywhere, None
    if config.local_rope_base is None:
        turned = everywhere.turned
    else:
        turned = rotation(positions, config.head_dim, config.local_rope_base, None)
    return everywhere, LayerContext(turned, near(config.sliding_window))
