"""How the model of a run is made, and where its parameters come from."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, PyTree

from llmrec_jax import marks
from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.models.lora import ADAPTERS, MERGED, Adaptable, merged
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.trained import trained_checkpoint
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.stages import trained_codes
from llmrec_jax.training.frozen import held, joined, split
from llmrec_jax.training.parameter_restore import check_params, restore_params
from llmrec_jax.training.train_state import TrainableModel, abstract_params, shardings_of
from llmrec_jax.training.trainer import Trainer


@runtime_checkable
class Network(Protocol):
    """A frozen dataclass: a recipe's model, completed by what a run makes, such as its catalogue.

    Attributes:
      reads: artifacts that complete it.
      codes: the item codes that its parameters are of; None where it knows no codes.
    """

    codes: ClassVar[Artifact[CodeTable] | None]

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """Artifacts that complete the model."""

    def model(self, run: Run) -> TrainableModel:
        """The model as it is trained and asked in this run."""

    def trained_part(self) -> Any:
        """What of it decides the trained parameters; how it is decoded does not."""


@dataclasses.dataclass(frozen=True)
class GenerativeNetwork:
    """A generative model, an encoder-decoder or a decoder alone, whose recipe says all of it.

    Attributes:
      recipe: the model.
    """

    # Results know it by its first name.
    codes: ClassVar = None
    FINGERPRINT_TAG: ClassVar = 'EncoderDecoderNetwork'

    recipe: GenerativeModel

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Network`."""
        return ()

    def model(self, run: Run) -> GenerativeModel:
        """See `Network`."""
        del run
        return self.recipe

    def trained_part(self) -> Any:
        """See `Network`."""
        return self.recipe.trained_part()


@dataclasses.dataclass(frozen=True)
class Parameters:
    """The parameters that a trained system answers with.

    Attributes:
      network: whose.
      trainer: which shards them.
      checkpoint: a folder `checkpoint_<step>`; None for the best that was trained in the run.
    """

    network: Network
    trainer: Trainer = marks.without_effect()
    checkpoint: str | None = None
    # The stage that trains them.
    trained_by: ClassVar[str] = 'train'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """Artifacts that they come from."""
        of_training = () if self.checkpoint is not None else (facts_of(self.trained_by),)
        return (*all_reads(self.network), *of_training)

    def abstract(self, run: Run) -> PyTree[jax.ShapeDtypeStruct]:
        """Their shapes and shardings."""
        return abstract_parameters(self.network.model(run), self.trainer)

    def location(self, run: Run) -> str | pathlib.Path:
        """The checkpoint."""
        return self.checkpoint or run.root / self.called(run)

    def called(self, run: Run) -> str:
        """The checkpoint as results name it: relative to the workdir where it lies there.

        Raises:
          FileNotFoundError: see `runs.trained.trained_checkpoint`.
        """
        if self.checkpoint is not None:
            return self.checkpoint
        return trained_checkpoint(run, self.trained_by)

    def restore(self, run: Run) -> PyTree[Array]:
        """The parameters, sharded as the trainer shards them; adapters merged where they are to be.

        Raises:
          CheckpointError: when the checkpoint is not there, is damaged, or is of another model or of other
            item codes.
        """
        where = self.location(run)
        self._check_codes(run)
        return run.once(('params', str(where)), lambda: self._read(where, run))

    def _read(self, where: str | pathlib.Path, run: Run) -> PyTree[Array]:
        params, model = restore_params(where, self.abstract(run)), self.network.model(run)
        lora = model.lora if isinstance(model, Adaptable) else None
        if lora is None or lora.at_inference != MERGED:
            return params
        adapters, plain = split(params, ADAPTERS)
        merging = jax.jit(
            lambda plain, adapters: merged(joined(adapters, plain), lora),
            out_shardings=shardings_of(plain),
            donate_argnums=0,
        )
        return merging(plain, adapters)

    def check(self, run: Run) -> None:
        """Finds out whether a checkpoint that was named is of the model, where its shapes are known already.

        Raises:
          CheckpointError: when it is not.
        """
        if self.checkpoint is not None and all(run.has(artifact) for artifact in self.network.reads):
            check_params(self.checkpoint, self.abstract(run), None)
            if all(run.has(artifact) for artifact in all_reads(self.network)):
                self._check_codes(run)

    def _check_codes(self, run: Run) -> None:
        if self.network.codes is not None:
            mend = f'ask it in the workdir that it was trained in, or train in {run.root} first'
            trained_codes.check(self.location(run), run[self.network.codes], mend)


def all_reads(network: Network) -> Sequence[Artifact[Any]]:
    """Artifacts that complete the model, and the codes that its parameters are of."""
    return network.reads if network.codes is None else tuple(dict.fromkeys((*network.reads, network.codes)))


def abstract_parameters(model: TrainableModel, trainer: Trainer) -> PyTree[jax.ShapeDtypeStruct]:
    """Shapes, types and shardings of a model's parameters, frozen ones in the type that they are held in."""
    blank = {name: np.zeros((1, 2), np.int32) for name in trainer.feature_lengths}
    features = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in model.convert_features(blank).items()
    }
    abstract = abstract_params(model, features, trainer.mesh.build(), trainer.logical_axis_rules)
    return held(abstract, trainer.trained, trainer.frozen_dtype)


def parameter_count(model: TrainableModel, trainer: Trainer) -> int:
    """Number of parameters of a model."""
    leaves = jax.tree.leaves(abstract_parameters(model, trainer))
    return sum(math.prod(leaf.shape) for leaf in leaves)
