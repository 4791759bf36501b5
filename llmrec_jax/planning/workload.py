"""What is planned: a model, how it is trained, and the program that answers with it."""

import dataclasses

import jax
import numpy as np

from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.planning.decoding_programs import CatalogueScores, CatalogueSearch, DecodingProgram, TextStep
from llmrec_jax.planning.shapes import full_features, parameter_count
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.training.profiling import CountsFlops
from llmrec_jax.training.train_state import TrainableModel
from llmrec_jax.training.trainer import Trainer

USERS = 256


@dataclasses.dataclass(frozen=True)
class DecodingSizes:
    """What a recipe leaves open, because a corpus would say it, or does not have.

    Attributes:
      items: of the catalogue; 12,101 is Amazon Beauty's.
      users: answered at once; None for the recipe's number.
      beams: of a text decoder.
      text_width: of the vectors of the items' texts, for networks that read them; 768 is Sentence-T5's.
    """

    items: int = 12101
    users: int | None = None
    beams: int = 4
    text_width: int = 768


@dataclasses.dataclass(frozen=True, eq=False)
class Workload:
    """A recipe as far as its programs go, of any model that the embedded engine trains.

    A kind of network that has settings for rematerialization and dtype is a subclass.

    Attributes:
      model: the network and its loss, which knows its catalogue where it needs one.
      trainer: how it is trained.
      decoding: how it answers; None where only training is planned.
      loop_runs: how often a loop runs whose length the data decide: the most, as for examples without
        padding.
    """

    model: TrainableModel
    trainer: Trainer
    decoding: DecodingProgram | None = None
    loop_runs: int = 1

    @property
    def remat(self) -> str | None:
        """What the backward pass may keep; None where the network has no such setting."""
        return None

    @property
    def dtype(self) -> str | None:
        """Of activations and multiplications; None where the network has no such setting."""
        return None

    def with_network(self, *, remat: str | None, dtype: str | None) -> 'Workload':
        """The workload with these settings of its network; both are None where it has none."""
        del remat, dtype
        return self

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return parameter_count(self.model, self.trainer)

    @property
    def tokens(self) -> int:
        """Tokens of a full example."""
        return sum(self.trainer.feature_lengths.values())

    def training_features(self) -> dict[str, jax.ShapeDtypeStruct]:
        """A microbatch at full length, as the model's features."""
        rows = self.trainer.batch_size // self.trainer.microbatches
        return full_features(self.model, self.trainer, rows)

    @property
    def knows_flops(self) -> bool:
        """Whether the model has a formula for the FLOPs of its training; without one they are counted."""
        return isinstance(self.model, CountsFlops)

    def train_flops(self) -> int | None:
        """Model FLOPs of an update by the model's formula; None where it has none."""
        if not self.knows_flops:
            return None
        features = full_features(self.model, self.trainer, self.trainer.batch_size)
        return self.model.train_flops(features)

    def flops_told(self) -> str:
        """Where the model FLOPs come from."""
        if not self.knows_flops:
            return (
                'Model FLOPs: counted in the compiled programs, for the model has no formula: what devices '
                'repeat or recompute is among them'
            )
        return 'Model FLOPs: by the formula of the model, train_flops'


@dataclasses.dataclass(frozen=True, eq=False)
class GenerativeWorkload(Workload):
    """A workload whose network writes token by token; attributes as in `Workload`."""

    model: GenerativeModel

    @property
    def remat(self) -> str:
        """See `Workload`."""
        return self.model.module.config.remat_policy

    @property
    def dtype(self) -> str:
        """See `Workload`."""
        return self.model.module.config.dtype.name

    def with_network(self, *, remat: str, dtype: str) -> 'GenerativeWorkload':
        """See `Workload`."""
        module = self.model.module
        config = dataclasses.replace(module.config, remat_policy=remat, dtype=dtype)
        model = dataclasses.replace(self.model, module=module.clone(config=config))
        return dataclasses.replace(self, model=model)

    def flops_told(self) -> str:
        """See `Workload`."""
        return f'Model FLOPs: {self.model.flops_formula()}'


def search_workload(
    model: GenerativeModel,
    trainer: Trainer,
    sizes: DecodingSizes,
    *,
    layout: TokenLayout,
    users: int = USERS,
    remove_seen: bool = False,
) -> GenerativeWorkload:
    """A generative model that answers by searching the trie of a catalogue's semantic IDs.

    Args:
      model: the model; its `decode_fn` is the search.
      trainer: how it is trained.
      sizes: what the command line says; its users come before the recipe's.
      layout: of the semantic IDs.
      users: decoded at once, by the recipe.
      remove_seen: whether items of the history are closed to the search.
    """
    decoding = CatalogueSearch(layout, sizes.items, _users(sizes, users), remove_seen)
    return GenerativeWorkload(model, trainer, decoding)


def text_workload(
    model: GenerativeModel, trainer: Trainer, sizes: DecodingSizes, *, users: int = USERS
) -> GenerativeWorkload:
    """A generative model that answers in words.

    Args:
      model: the model.
      trainer: how it is trained.
      sizes: what the command line says; its users come before the recipe's.
      users: decoded at once, by the recipe.
    """
    return GenerativeWorkload(model, trainer, TextStep(_users(sizes, users), sizes.beams))


def sequential_workload(
    model: SequentialRecommenderModel,
    trainer: Trainer,
    sizes: DecodingSizes,
    *,
    users: int = USERS,
    list_length: int = 10,
) -> Workload:
    """A sequential recommender that scores the whole catalogue.

    Counts of items and vectors of their texts have the shapes of a catalogue of that size; no program
    depends on more.

    Args:
      model: the recipe's, of no catalogue yet.
      trainer: how it is trained, on sequences of one item more than a history has.
      sizes: what the command line says; its users come before the recipe's.
      users: scored at once, by the recipe.
      list_length: items in a list.

    Raises:
      ValueError: when there is no item.
    """
    if sizes.items < 1:
        raise ValueError(f'--items={sizes.items} must be at least 1')
    facts = CatalogueFacts(
        n_items=sizes.items,
        train_counts=np.ones(sizes.items, np.float32),
        vectors=np.broadcast_to(np.float32(0), (sizes.items, sizes.text_width)),
    )
    [length] = trainer.feature_lengths.values()
    decoding = CatalogueScores(sizes.items, _users(sizes, users), length - 1, list_length)
    # Some losses take the positions that are predicted a chunk at a time.
    at_once = getattr(model.loss, 'positions_at_once', None)
    positions = trainer.batch_size // trainer.microbatches * (length - 1)
    runs = 1 if at_once is None else -(-positions // at_once)
    return Workload(model.for_catalogue(facts), trainer, decoding, runs)


def _users(sizes: DecodingSizes, recipe: int) -> int:
    return recipe if sizes.users is None else sizes.users
