"""Items by codes of their text: the mean of one embedding a code (VQ-Rec, section 3.2).

Codes are renamed by permutations that gradients find: Gumbel-Sinkhorn (Mena et al., ICLR 2018; VQ-Rec,
3.4).
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int, Key
from scipy.optimize import linear_sum_assignment

from llmrec_jax.models.sequential.item_encoder import PADDING, CatalogueFacts
from llmrec_jax.models.transfer.frozen_tables import CODES, declare_table, rows_of


def sinkhorn(logits: Float[Array, '*batch n n'], iterations: int) -> Float[Array, '*batch n n']:
    """Brings `exp(logits)` near to doubly stochastic: rows and columns are normalised in turn, in logarithms.

    Rows are normalised last, so that their sums are exactly 1.
    """
    for _ in range(iterations):
        logits = logits - jax.nn.logsumexp(logits, axis=-2, keepdims=True)
        logits = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    return jnp.exp(logits)


def gumbel_sinkhorn(
    logits: Float[Array, '*batch n n'],
    key: Key[Array, ''] | None,
    temperature: float = 0.7,
    iterations: int = 3,
) -> Float[Array, '*batch n n']:
    """A relaxed permutation drawn in the neighbourhood of the logits; without a key, their own.

    Args:
      logits: `logits[..., i, j]` is high where row `i` should take column `j`.
      key: of the Gumbel noise; None for none.
      temperature: the lower, the nearer to a permutation.
      iterations: of Sinkhorn's normalisation.
    """
    if key is not None:
        logits = logits + jax.random.gumbel(key, logits.shape)
    return sinkhorn(logits / temperature, iterations)


def hard_rows(relaxed: Float[Array, '*batch n n']) -> Float[Array, '*batch n n']:
    """The largest entry of each row as 1 and the others as 0, with the gradient of `relaxed`.

    Two rows may take the same column: in training VQ-Rec asks for no more. What is kept after training is a
    permutation, see `nearest_permutation`.
    """
    hard = jax.nn.one_hot(jnp.argmax(relaxed, axis=-1), relaxed.shape[-1], dtype=relaxed.dtype)
    # The forward value is exactly `hard`; the gradient passes through `relaxed`.
    return hard + (relaxed - jax.lax.stop_gradient(relaxed))


def nearest_permutation(logits: Float[np.ndarray, 'digits n n']) -> Int[np.ndarray, 'digits n']:
    """For each digit the permutation of the largest sum of logits: row `i` takes column `found[digit, i]`."""
    return np.stack([linear_sum_assignment(digit, maximize=True)[1] for digit in logits])


EMBEDDING, RENAMING = 'embedding', 'renaming'
KERNEL_INIT = nn.initializers.normal(0.02)


class CodeItemEncoder(nn.Module):
    """The mean of the embeddings of an item's codes, an item encoder as `models.sequential.item_encoder`
    asks for.

    The codes are a frozen table of whole numbers kept as float32, because training takes gradients of every
    parameter and integers have none.

    While `renaming`, codeword `i` of a digit has the embedding of another codeword of that digit. Which one
    is learned: a permutation by Gumbel-Sinkhorn (section 3.4). Before the embeddings are tuned, the
    permutation is applied to them (`renamed`). Gumbel noise is on where the random stream 'dropout' is given.

    Attributes:
      dim: width of a vector.
      digits: codes of an item.
      codewords: of each digit.
      renaming: whether a permutation of each digit's embeddings is learned.
      temperature: of the relaxed permutations.
      iterations: of Sinkhorn's normalisation.
      n_items: size of the catalogue; 0 until `for_catalogue` says it.
    """

    dim: int
    digits: int = 32
    codewords: int = 256
    renaming: bool = False
    temperature: float = 0.7
    iterations: int = 3
    n_items: int = 0

    def for_catalogue(self, facts: CatalogueFacts) -> 'CodeItemEncoder':
        """The encoder of this catalogue."""
        return self.clone(n_items=facts.n_items)

    def setup(self):
        """Declares the codes, their embeddings, and how they are renamed."""
        self.codes = declare_table(CODES, self.n_items, self.digits)
        embedding = partitioning.param_with_axes(
            EMBEDDING,
            KERNEL_INIT,
            (self.digits, self.codewords, self.dim),
            jnp.float32,
            axes=('layers', 'kv', 'embed'),
        )
        if not self.renaming:
            self.embedding = embedding
            return
        logits = partitioning.param_with_axes(
            RENAMING,
            nn.initializers.zeros,
            (self.digits, self.codewords, self.codewords),
            jnp.float32,
            axes=('layers', 'kv', 'length'),
        )
        key = self.make_rng('dropout') if self.has_rng('dropout') else None
        relaxed = gumbel_sinkhorn(logits, key, self.temperature, self.iterations)
        self.embedding = jnp.einsum('dij,djv->div', hard_rows(relaxed), embedding)

    def __call__(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens; zero for padding."""
        # Where there are more tokens than items, each item's codes are looked up once.
        once = tokens.size > len(self.codes)
        vectors = rows_of(self.table(), tokens) if once else self.of_codes(self.codes_of(tokens))
        return jnp.where((tokens != PADDING)[..., None], vectors, 0.0)

    def table(self) -> Float[Array, 'rows dim']:
        """The vectors of all items; rows past the catalogue are no items."""
        return self.of_codes(self.codes)

    def codes_of(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape digits']:
        """The codes of tokens; those of the first item for padding."""
        return rows_of(self.codes, tokens)

    def of_codes(self, codes: Float[Array, '*shape digits']) -> Float[Array, '*shape dim']:
        """The mean of the codes' embeddings, of items that need not exist."""

        def add(total: Array, digit: tuple[Array, Array]) -> tuple[Array, None]:
            code, embedding = digit
            # What is not a number stays so: as an index it would be some codeword's.
            row = embedding.at[jnp.nan_to_num(code).astype(jnp.int32)].get(mode='clip')
            return total + jnp.where(jnp.isnan(code)[..., None], jnp.nan, row), None

        # One digit at a time: all at once would hold `digits` vectors of every item.
        start = jnp.zeros((*codes.shape[:-1], self.dim), self.embedding.dtype)
        total, _ = jax.lax.scan(add, start, (jnp.moveaxis(codes, -1, 0), self.embedding))
        return total / self.digits
