"""Items as the sum of their codes' vectors and of vectors of their own."""

import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax import marks
from llmrec_jax.models.dropout import kept, kept_of
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, coded
from llmrec_jax.models.sequential.item_encoder import PADDING, ROWS_MULTIPLE, CatalogueFacts


class CodedItems(nn.Module):
    """An item encoder: a vector for each code, and one of the item's own.

    Attributes:
      dim: width of a vector.
      own_vectors: whether an item has a vector of its own beside its codes'; without it an item without
        training events is told by its codes alone.
      code_masking: share of the codes of what is read that are left out in training, each drawn by itself.
      init_stddev: of the normal distribution that the vectors are drawn from.
      n_items: size of the catalogue; 0 until `for_catalogue` says it.
      catalogue: the codes; likewise.
    """

    dim: int
    own_vectors: bool = True
    code_masking: float = marks.silent_default(0.0)
    init_stddev: float = 0.02
    n_items: int = 0
    catalogue: CodedCatalogue | None = None

    def for_catalogue(self, facts: CatalogueFacts) -> 'CodedItems':
        """The encoder of this catalogue.

        Raises:
          ValueError: when the catalogue has no codes, or `code_masking` is not in [0, 1).
        """
        if not 0 <= self.code_masking < 1:
            raise ValueError(f'CodedItems.code_masking={self.code_masking} must lie in [0, 1)')
        return self.clone(n_items=facts.n_items, catalogue=coded(facts, 'CodedItems'))

    def setup(self):
        """Declares the vectors."""
        if self.catalogue is None:
            raise ValueError('CodedItems.catalogue is not known: call for_catalogue first')
        init = nn.initializers.normal(stddev=self.init_stddev)

        def table(name: str, rows: int, axis: str) -> Array:
            return partitioning.param_with_axes(
                name, init, (rows, self.dim), jnp.float32, axes=(axis, 'embed')
            )

        self.codes = [table(f'codes_{level}', size, 'kv') for level, size in enumerate(self.catalogue.sizes)]
        if self.own_vectors:
            self.own = table('own', -(-self.n_items // ROWS_MULTIPLE) * ROWS_MULTIPLE, 'vocab')

    def __call__(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens; zero for padding."""
        items = jnp.clip(tokens - 1, 0, self.n_items - 1)
        shown = None
        # There is the stream of dropout in training alone.
        if self.code_masking and self.has_rng('dropout'):
            shape = (self.catalogue.levels, *tokens.shape)
            shown = kept(self.make_rng('dropout'), kept_of(self.code_masking), shape)
        vectors = self._of_codes(jnp.asarray(self.catalogue.codes)[items], shown)
        if self.own_vectors:
            vectors += self.own[items]
        return jnp.where((tokens != PADDING)[..., None], vectors, 0.0)

    def table(self) -> Float[Array, 'rows dim']:
        """The vectors of all items, and rows past the catalogue that are no items."""
        vectors = self._of_codes(jnp.asarray(self.catalogue.codes))
        rows = -(-self.n_items // ROWS_MULTIPLE) * ROWS_MULTIPLE
        vectors = jnp.pad(vectors, ((0, rows - self.n_items), (0, 0)))
        return vectors + self.own if self.own_vectors else vectors

    def _of_codes(
        self, codes: Int[Array, '*shape levels'], shown: Bool[Array, 'levels *shape'] | None = None
    ) -> Float[Array, '*shape dim']:
        found = 0.0
        for level, table in enumerate(self.codes):
            vectors = table.at[codes[..., level]].get(mode='promise_in_bounds')
            found += vectors if shown is None else jnp.where(shown[level][..., None], vectors, 0.0)
        return found
