"""Heads that write all codes at once, each from the state alone, and items by look-up of their codes."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.generative_sequential.head_parts import drawn_masks, queries
from llmrec_jax.models.generative_sequential.heads import CodeHeads
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts


class ParallelHeads(CodeHeads):
    """A head for each code, which sees none of the others (RPG, Hou et al., 2025, section 3.2).

        z = h + MLP(norm(h));  logit of code c = (norm(z) Q) w_c + b_c

    An item's score is the sum of its codes' log-probabilities. Tuples of codes that no item has get some too,
    so that the catalogue's probabilities add up to less than 1. There is no prefix: any number of codes is
    written in one step, and all items are ranked.

    Attributes as in `CodeHeads`.

    Raises:
      ValueError: from `for_catalogue`, when codes already written are to be masked: there are none.
    """

    by_search: ClassVar[bool] = False

    def for_catalogue(self, facts: CatalogueFacts) -> 'ParallelHeads':
        """See `CodeHeads`."""
        if self.code_masking:
            raise ValueError(
                f'ParallelHeads.code_masking={self.code_masking}, but these heads see no codes: mask those '
                'of the inputs (CodedItems.code_masking)'
            )
        return super().for_catalogue(facts)

    def setup(self):
        """Declares the parameters of all levels."""
        self.parameters = self.shared_parameters()

    def losses(
        self,
        table: Float[Array, 'rows dim'],
        states: Float[Array, 'positions dim'],
        items: Int[Array, 'positions'],
        key: Key[Array, ''] | None,
    ) -> Float[Array, 'levels positions']:
        """See `CodeHeads`."""
        del table
        chosen = self._log_probabilities(states, key)
        codes = jnp.asarray(self.catalogue.codes.T)[:, items]
        of_target = jnp.take_along_axis(chosen, codes[..., None], axis=-1)[..., 0]
        if key is None or not self.label_smoothing:
            return -of_target
        used = jnp.asarray(self._used())[:, None]
        evenly = jnp.sum(jnp.where(used, chosen, 0.0), axis=-1) / jnp.sum(used, axis=-1)
        return -(1 - self.label_smoothing) * of_target - self.label_smoothing * evenly

    def log_probabilities(
        self, table: Float[Array, 'rows dim'], states: Float[Array, 'batch dim']
    ) -> Float[Array, 'batch items']:
        """See `CodeHeads`."""
        del table
        # A code's row holds all states, so that an item's look-up reads what lies together.
        chosen = jnp.swapaxes(self._log_probabilities(states, None), 1, 2)
        codes = jnp.asarray(self.catalogue.codes)
        return sum(of_level[codes[:, level]] for level, of_level in enumerate(chosen)).T

    def _log_probabilities(
        self, states: Float[Array, 'positions dim'], key: Key[Array, ''] | None
    ) -> Float[Array, 'levels positions words']:
        heads, levels = self.parameters, self.catalogue.levels
        masks = drawn_masks(heads, len(states), self.dropout_rate, key)
        asked = queries(heads, jnp.broadcast_to(states, (levels, *states.shape)), masks)
        words = jnp.concatenate([heads['words'], heads['word_bias'][..., None]], axis=-1)
        logits = jnp.einsum('lpd,lwd->lpw', asked, words)
        return jax.nn.log_softmax(jnp.where(self._used()[:, None], logits, -jnp.inf), axis=-1)

    def _used(self) -> Bool[np.ndarray, 'levels words']:
        """Which codes an item has."""
        found = np.zeros((self.catalogue.levels, max(self.catalogue.sizes)), bool)
        found[np.arange(self.catalogue.levels), self.catalogue.codes] = True
        return found
