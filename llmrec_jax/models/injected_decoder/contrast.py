"""The contrastive losses beside the language model's: CALRec's pair, and a reconstruction of RSLLM's."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar, no_type_check

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.transfer.contrastive import unit
from llmrec_jax.models.two_tower.in_batch_softmax import in_batch_losses


# jax.tree functions rebuild pytrees around whatever they map to, so the fields' types are not checked.
@no_type_check
@flax.struct.dataclass
class Views:
    """What is known of each row's history and target, [batch, embed] each.

    Attributes:
      history: mean of the outputs at the history's tokens.
      answer: the output that the target's first token is predicted from.
      target: mean of the outputs at the target's tokens behind the prompt.
      target_alone: likewise, of the target read without any prompt.
      target_words: mean of the vectors of the target's tokens, before any layer.
      target_item: the projected vector of the target.
    """

    history: Float[Array, 'batch embed']
    answer: Float[Array, 'batch embed']
    target: Float[Array, 'batch embed']
    target_alone: Float[Array, 'batch embed']
    target_words: Float[Array, 'batch embed']
    target_item: Float[Array, 'batch embed']


class Contrast(abc.ABC):
    """Two contrastive losses and their weights; one of weight 0 is switched off.

    Subclasses are frozen dataclasses whose fields are the weights.

    Attributes:
      NAMES: of the losses, in the order of the learned temperatures.
    """

    NAMES: ClassVar[tuple[str, str]]

    @property
    @abc.abstractmethod
    def weights(self) -> tuple[float, float]:
        """Of the losses."""

    @property
    @abc.abstractmethod
    def language_weight(self) -> float:
        """Of the language model's loss beside them."""

    @abc.abstractmethod
    def losses(
        self,
        views: Views,
        items: Int[Array, 'batch'],
        valid: Bool[Array, 'batch'],
        temperatures: Float[Array, '2'],
    ) -> Mapping[str, Float[Array, 'batch']]:
        """Each loss of each row, by its name.

        Args:
          views: of the rows.
          items: their targets; a row of the same target is no negative.
          valid: rows that have a loss; the others lose 0 and are nobody's negatives.
          temperatures: of the losses.
        """


@dataclasses.dataclass(frozen=True)
class CalrecContrast(Contrast):
    """CALRec's pair (Li et al., arXiv 2405.02429), whose words RSLLM's abstract takes for its own.

    The target behind its prompt, and the history, are each held to the target read alone. The loss is
    `(1 - target - user) L_language + target L_TT + user L_UT`.

    Attributes:
      target: weight of the target in its prompt against the target alone.
      user: weight of the history against the target alone.

    Raises:
      ValueError: when the weights leave nothing to the language model.
    """

    target: float = 0.125
    user: float = 0.025
    NAMES: ClassVar = ('contrast_target', 'contrast_user')

    def __post_init__(self):
        if min(self.weights) < 0 or sum(self.weights) >= 1:
            raise ValueError(
                f'CalrecContrast.target={self.target} and user={self.user} must not be negative, and leave '
                'some of 1 to the language model'
            )

    @property
    def weights(self) -> tuple[float, float]:
        """See `Contrast`."""
        return self.target, self.user

    @property
    def language_weight(self) -> float:
        """See `Contrast`."""
        return 1 - self.target - self.user

    def losses(
        self,
        views: Views,
        items: Int[Array, 'batch'],
        valid: Bool[Array, 'batch'],
        temperatures: Float[Array, '2'],
    ) -> Mapping[str, Float[Array, 'batch']]:
        """See `Contrast`."""
        return {
            name: info_nce(query, views.target_alone, items, valid, temperature)
            for name, query, temperature in zip(self.NAMES, (views.target, views.history), temperatures)
        }


@dataclasses.dataclass(frozen=True)
class ItemAndUserContrast(Contrast):
    """A reconstruction of RSLLM's pair, token level and sequence level; the paper's own is not known.

    The words of the target are held to its projected vector, and so is the output that the answer begins
    from; both symmetric. The loss is `L_language + item L_item + user L_user`.

    Attributes:
      item: weight of words against vectors.
      user: weight of answers against vectors.

    Raises:
      ValueError: when a weight is negative.
    """

    item: float = 0.1
    user: float = 0.1
    NAMES: ClassVar = ('contrast_item', 'contrast_user')

    def __post_init__(self):
        if min(self.weights) < 0:
            raise ValueError(
                f'ItemAndUserContrast.item={self.item} and user={self.user} must not be negative'
            )

    @property
    def weights(self) -> tuple[float, float]:
        """See `Contrast`."""
        return self.item, self.user

    @property
    def language_weight(self) -> float:
        """See `Contrast`."""
        return 1.0

    def losses(
        self,
        views: Views,
        items: Int[Array, 'batch'],
        valid: Bool[Array, 'batch'],
        temperatures: Float[Array, '2'],
    ) -> Mapping[str, Float[Array, 'batch']]:
        """See `Contrast`."""
        found = {}
        for name, query, temperature in zip(self.NAMES, (views.target_words, views.answer), temperatures):
            pair = (query, views.target_item)
            there, back = (info_nce(*ends, items, valid, temperature) for ends in (pair, pair[::-1]))
            found[name] = (there + back) / 2
        return found


def info_nce(
    queries: Float[Array, 'batch dim'],
    keys: Float[Array, 'batch dim'],
    items: Int[Array, 'batch'],
    valid: Bool[Array, 'batch'],
    temperature: Float[Array, ''] | float,
) -> Float[Array, 'batch']:
    """`-log exp(q_i k_i / t) / sum_j exp(q_i k_j / t)` of unit vectors; j is i or a row of another item.

    Args:
      queries: of any length; normalised here.
      keys: the positive of each query; likewise.
      items: a row of the same item is no negative.
      valid: rows that have a loss; the others lose 0 and are nobody's negatives.
      temperature: t.
    """
    logits = unit(queries.astype(jnp.float32)) @ unit(keys.astype(jnp.float32)).T / temperature
    return in_batch_losses(jnp.diagonal(logits), logits, items, valid)


def mean_over(
    outputs: Float[Array, 'batch length embed'], chosen: Bool[Array, 'batch length']
) -> Float[Array, 'batch embed']:
    """The mean of the outputs at the chosen positions; zero where there is none."""
    weights = chosen.astype(jnp.float32)
    summed = jnp.einsum('bl,ble->be', weights, outputs.astype(jnp.float32))
    return summed / jnp.maximum(weights.sum(axis=1, keepdims=True), 1.0)
