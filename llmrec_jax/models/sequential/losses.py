"""Losses of a sequential recommender, each a sum over the positions that are predicted."""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.negatives import draw_outside, draw_shared, outside
from llmrec_jax.models.sequential.position_sums import Term, sum_at_positions

SumAndWeight = tuple[Float[Array, ''], Float[Array, '']]


class Predictions(NamedTuple):
    """States, and what each is to predict.

    Attributes:
      states: of every position.
      targets: tokens; 0 where nothing is predicted.
      sequences: all items of each example as tokens, what is predicted included.
    """

    states: Float[Array, 'batch length dim']
    targets: Int[Array, 'batch length']
    sequences: Int[Array, 'batch width']


@runtime_checkable
class ScoredItems(Protocol):
    """Vectors of items whose inner product with a state is the state's score of the item.

    Attributes:
      n_items: size of the catalogue.
    """

    n_items: int

    def vectors(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """Of tokens."""
        ...

    def table(self) -> Float[Array, 'rows dim']:
        """Of all items: row `i` is item `i`; rows past the catalogue are no items."""
        ...


@runtime_checkable
class SequenceLoss(Protocol):
    """A frozen dataclass that judges states by what they are to predict.

    Attributes:
      in_batch: whether the loss of a state depends on the other examples of its microbatch.
    """

    in_batch: ClassVar[bool]

    def for_catalogue(self, facts: CatalogueFacts) -> 'SequenceLoss':
        """The loss with what it needs to know of the catalogue."""
        ...

    def __call__(
        self, predictions: Predictions, items: ScoredItems, key: Key[Array, ''] | None
    ) -> SumAndWeight:
        """The summed loss, in nats, and the number of positions it is the sum over.

        Args:
          predictions: states and targets.
          items: the catalogue.
          key: of what is drawn; None where nothing is to be drawn at random.

        Raises:
          ValueError: when something is drawn and there is no key.
        """
        ...


@dataclasses.dataclass(frozen=True)
class FullSoftmax:
    """Cross-entropy over the whole catalogue: `-s_target + log(sum_j exp(s_j))`.

    Attributes:
      positions_at_once: positions whose scores of all items are held at once.
    """

    positions_at_once: int = 256
    in_batch: ClassVar[bool] = False

    def for_catalogue(self, facts: CatalogueFacts) -> 'FullSoftmax':
        """The loss itself."""
        del facts
        return self

    def __call__(
        self, predictions: Predictions, items: ScoredItems, key: Key[Array, ''] | None
    ) -> SumAndWeight:
        """See `SequenceLoss`."""
        del key
        term = _softmax_term(items.n_items)
        return _summed(term, predictions, items.table(), (), (), self.positions_at_once)


@dataclasses.dataclass(frozen=True)
class BinaryCrossEntropy:
    """SASRec's loss (section III-E): `-log sigma(s_target) - sum_j log(1 - sigma(s_j))`, j drawn at random.

    Attributes:
      negatives: drawn for every position, uniformly.
      outside_sequence: whether they are drawn from what is not in the user's sequence (the paper), or from
        the whole catalogue.
      positions_at_once: positions whose negatives are drawn at once.
    """

    negatives: int = 1
    outside_sequence: bool = True
    positions_at_once: int = 8192
    in_batch: ClassVar[bool] = False

    def __post_init__(self):
        _check_negatives(self)

    def for_catalogue(self, facts: CatalogueFacts) -> 'BinaryCrossEntropy':
        """The loss itself."""
        del facts
        return self

    def __call__(
        self, predictions: Predictions, items: ScoredItems, key: Key[Array, ''] | None
    ) -> SumAndWeight:
        """See `SequenceLoss`."""
        return _binary(self, 1.0, 1.0, predictions, items, key)


@dataclasses.dataclass(frozen=True)
class GeneralizedBinaryCrossEntropy:
    """gSASRec's loss, gBCE (Petrov and Macdonald, arXiv 2308.07192, equations 11 to 13).

    `-(beta log sigma(s_target) + sum_j log(1 - sigma(s_j))) / (k + 1)` over k negatives drawn uniformly,
    with `beta = t (alpha - 1) + 1` and `alpha = k / (n_items - 1)`: at t = 0 it is binary cross-entropy,
    and at t = 1 the sampling no longer makes the model overconfident.

    Attributes:
      negatives: k, drawn for every position.
      calibration: t.
      outside_sequence: whether negatives are drawn from what is not in the user's sequence; the authors
        draw them from the whole catalogue.
      positions_at_once: positions whose negatives are drawn at once.
    """

    negatives: int = 256
    calibration: float = 0.75
    outside_sequence: bool = False
    positions_at_once: int = 1024
    in_batch: ClassVar[bool] = False

    def __post_init__(self):
        _check_negatives(self)
        if not 0 <= self.calibration <= 1:
            raise ValueError(f'calibration={self.calibration} must lie in [0, 1]')

    def for_catalogue(self, facts: CatalogueFacts) -> 'GeneralizedBinaryCrossEntropy':
        """The loss itself."""
        del facts
        return self

    def __call__(
        self, predictions: Predictions, items: ScoredItems, key: Key[Array, ''] | None
    ) -> SumAndWeight:
        """See `SequenceLoss`."""
        sampling_rate = self.negatives / max(items.n_items - 1, 1)
        beta = self.calibration * (sampling_rate - 1) + 1
        return _binary(self, beta, 1 / (self.negatives + 1), predictions, items, key)


@dataclasses.dataclass(frozen=True, eq=False)
class SampledSoftmax:
    """Cross-entropy over the target and negatives that all positions share, corrected for how they are
    drawn.

    A negative j drawn with probability q_j stands for 1 / q_j items, so that with n of them the normalizer
    is estimated without bias by `exp(s_target) + sum_j exp(s_j - log(n q_j))`; draws of the target itself
    are left out (Bengio and Senecal, 2008; the logQ correction of Yi et al., 2019, on the negatives alone).

    Attributes:
      negatives: n, drawn for a whole microbatch.
      popularity: exponent of an item's training count plus one that its probability is proportional to; 0
        draws uniformly.
      outside_sequence: whether items of a user's own sequence are left out of that user's sum.
      positions_at_once: positions whose scores are held at once.
      probabilities: of the items; None until `for_catalogue` knows them.
    """

    negatives: int = 1024
    popularity: float = 0.0
    outside_sequence: bool = False
    positions_at_once: int = 1024
    probabilities: Float[np.ndarray, 'items'] | None = None
    in_batch: ClassVar[bool] = False

    def __post_init__(self):
        _check_negatives(self)

    def for_catalogue(self, facts: CatalogueFacts) -> 'SampledSoftmax':
        """The loss that draws by this catalogue's counts.

        Raises:
          ValueError: when it draws by popularity and nobody counted.
        """
        if self.popularity and facts.train_counts is None:
            raise ValueError(
                f'SampledSoftmax.popularity={self.popularity} needs counts of the training items'
            )
        counts = np.zeros(facts.n_items) if facts.train_counts is None else facts.train_counts
        weights = (counts + 1.0) ** self.popularity
        return dataclasses.replace(self, probabilities=(weights / weights.sum()).astype(np.float32))

    def __call__(
        self, predictions: Predictions, items: ScoredItems, key: Key[Array, ''] | None
    ) -> SumAndWeight:
        """See `SequenceLoss`."""
        if self.probabilities is None:
            raise ValueError('SampledSoftmax.probabilities are not known: call for_catalogue first')
        drawn = draw_shared(_needed(self, key), jnp.asarray(self.probabilities), self.negatives)
        log_expected = jnp.log(self.negatives * jnp.asarray(self.probabilities)[drawn])
        batch, length = predictions.targets.shape
        users = jnp.repeat(jnp.arange(batch), length)
        context = (drawn, log_expected, predictions.sequences if self.outside_sequence else None)
        return _summed(
            _sampled_softmax_term, predictions, items.table(), users, context, self.positions_at_once
        )


def _summed(
    term: Term,
    predictions: Predictions,
    table: Float[Array, 'rows dim'],
    along: Any,
    context: Any,
    positions_at_once: int,
) -> SumAndWeight:
    targets = predictions.targets.reshape(-1)
    states = predictions.states.reshape(len(targets), -1)
    counted = targets != 0
    total = sum_at_positions(
        term, table, states, counted, (targets - counted, along), context, positions_at_once
    )
    return total, jnp.sum(counted).astype(total.dtype)


@functools.lru_cache(maxsize=64)
def _softmax_term(n_items: int) -> Term:
    def term(table: Any, states: Any, along: Any, context: Any, chunk: Any) -> Any:
        del context, chunk
        targets, _ = along
        scores = jnp.dot(states, table.T)
        is_item = (jnp.arange(len(table)) < n_items)[None, :]
        normalizer = jax.nn.logsumexp(jnp.where(is_item, scores, -jnp.inf), axis=-1)
        return normalizer - jnp.sum(states * table[targets], axis=-1)

    return term


def _binary(
    loss: BinaryCrossEntropy | GeneralizedBinaryCrossEntropy,
    target_weight: float,
    scale: float,
    predictions: Predictions,
    items: ScoredItems,
    key: Key[Array, ''] | None,
) -> SumAndWeight:
    batch, length = predictions.targets.shape
    users = jnp.repeat(jnp.arange(batch), length)
    term = _binary_term(loss.negatives, items.n_items, target_weight, scale)
    absent = outside(predictions.sequences) if loss.outside_sequence else None
    context = (_needed(loss, key), absent)
    return _summed(term, predictions, items.table(), users, context, loss.positions_at_once)


@functools.lru_cache(maxsize=64)
def _binary_term(negatives: int, n_items: int, target_weight: float, scale: float) -> Term:
    def term(table: Any, states: Any, along: Any, context: Any, chunk: Any) -> Any:
        targets, users = along
        key, absent = context
        taken = None if absent is None else absent[users]
        drawn = draw_outside(jax.random.fold_in(key, chunk), taken, n_items, (len(states), negatives))
        of_target = jnp.sum(states * table[targets], axis=-1)
        of_negatives = jnp.einsum('pd,pnd->pn', states, table[drawn])
        positive = target_weight * jax.nn.softplus(-of_target)
        return scale * (positive + jnp.sum(jax.nn.softplus(of_negatives), axis=-1))

    return term


def _sampled_softmax_term(table: Any, states: Any, along: Any, context: Any, chunk: Any) -> Any:
    del chunk
    targets, users = along
    drawn, log_expected, sequences = context
    scores = jnp.dot(states, table[drawn].T) - log_expected[None, :]
    left_out = drawn[None, :] == targets[:, None]
    if sequences is not None:
        left_out |= jnp.any(sequences[users][:, :, None] == drawn[None, None, :] + 1, axis=1)
    of_target = jnp.sum(states * table[targets], axis=-1)
    scores = jnp.concatenate([of_target[:, None], jnp.where(left_out, -jnp.inf, scores)], axis=1)
    return jax.nn.logsumexp(scores, axis=-1) - of_target


def _check_negatives(loss: Any) -> None:
    if loss.negatives < 1:
        raise ValueError(f'{type(loss).__name__}.negatives={loss.negatives} must be at least 1')


def _needed(loss: SequenceLoss, key: Key[Array, ''] | None) -> Key[Array, '']:
    if key is None:
        raise ValueError(f'{type(loss).__name__} draws negatives: it needs a key')
    return key
