"""The embedded engine: trains a model that speaks T5X's protocol on the examples of a column store."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from llmrec_jax import files, marks
from llmrec_jax.training import processes
from llmrec_jax.training.base_checkpoints import Base
from llmrec_jax.training.batches import Batches, Shape
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.early_stopping import BestMetric, EarlyStopping
from llmrec_jax.training.frozen import check_trained, split
from llmrec_jax.training.loop import Feed, Loop, TrainResult, Validate
from llmrec_jax.training.mesh import (
    STANDARD_RULES,
    LogicalRules,
    MeshShape,
    batch_sharding,
    check_batch,
    logical_rules,
    place,
    rows_of_this_process,
)
from llmrec_jax.training.metrics_log import MetricsLog
from llmrec_jax.training.optimizers import Optimizer
from llmrec_jax.training.parameter_restore import drawn_paths, restore_frozen, restore_params
from llmrec_jax.training.profiling import FlopsCounter, StepProfile
from llmrec_jax.training.step import compile_step
from llmrec_jax.training.train_state import (
    PARAMETERS,
    TrainableModel,
    abstract_state,
    check_optimizer_sharding,
    drawn_params,
    fresh_state,
    initial_state,
)

CHECKPOINTS = 'checkpoints'
INPUT = 'training_input.json'
PROFILE = 'profile'


@dataclasses.dataclass(frozen=True)
class Trainer:
    """How to train. A run killed at any step and started again makes the same steps as one that was not.

    Attributes:
      steps: updates to make.
      feature_lengths: tokens of each task feature when padded in full, e.g. `{'inputs': 81, 'targets': 4}`.
      optimizer: builds the gradient transformation.
      batch_size: examples an update.
      microbatches: equal parts a batch is cut into, by length; gradients are summed over them, and are those
        of the whole batch. A model whose examples are one another's negatives (`in_batch_loss`) sees those of
        a microbatch alone: for it a batch is cut at random, and the number decides what it learns.
      length_buckets: lengths shorter than the full one that a microbatch's inputs may be padded to. Each
        costs a compilation, and saves the padding above it.
      bucketed_feature: the task feature those lengths are for.
      other_buckets: shorter lengths that the other features may be padded to, e.g. where most targets are a
        word and some a sentence; each multiplies the compilations.
      seed: of the initial parameters, the order of examples and dropout.
      mesh: how devices share batch and model.
      logical_axis_rules: logical axis of parameters and activations to mesh axis, or a name: 'standard'
        (parameters over the model axis) or 'fsdp' (parameters, gradients and optimizer state over data x
        model).
      optimizer_sharding: 'parameters' where moments and gradients lie as their parameters do, 'data' where
        the data axis shares them too (ZeRO stage 2); under 'fsdp' they are shared already.
      dropout_bits: random bit generator of dropout: 'threefry2x32' draws the same bits on any mesh,
        'unsafe_rbg' is cheaper where masks are large.
      log_every: steps between lines of metrics.jsonl.
      validate_every: steps between validations, for which `fit` is given a function; the last step is
        validated too.
      checkpoint_every: steps between checkpoints; the last step gets one too, and so does every new best.
      keep: checkpoints kept beside the best one.
      best_metric: which validation metric the best checkpoint and early stopping go by.
      early_stopping: when to end before `steps`; None for never.
      initial_checkpoint: a folder `checkpoint_<step>` of this library or of T5X, local or `gs://`, whose
        parameters training starts from, with a fresh optimizer; None for parameters drawn by `seed`.
      fresh_parameters: parameters that `initial_checkpoint` does not have, by their path or what it begins
        with, e.g. 'encoder/whole_word_embedding'; they are drawn by `seed`. All others must be there.
      trained: regular expressions, of which one matches the whole path of each parameter that is trained,
        e.g. '.*/lora_[ab]'; none where all are. The others are frozen: without gradient, moments and a place
        in the run's checkpoints, and read from `initial_checkpoint` whenever the run starts. Those that are
        trained and that it lacks are drawn by `seed`.
      frozen_dtype: that frozen parameters are held in, 'float32' or 'bfloat16'.
      profile_steps: first and last step to profile into `profile/` of the workdir; None for none.

    Raises:
      ValueError: when a number of steps is below 1, a name is not known, or a pattern is none.
    """

    steps: int
    feature_lengths: Mapping[str, int]
    optimizer: Optimizer
    batch_size: int = 256
    microbatches: int = 1
    length_buckets: tuple[int, ...] = ()
    bucketed_feature: str = 'inputs'
    other_buckets: tuple[int, ...] = ()
    seed: int = 0
    mesh: MeshShape = marks.without_effect(default_factory=MeshShape)
    logical_axis_rules: LogicalRules | str = marks.without_effect(STANDARD_RULES)
    optimizer_sharding: str = marks.without_effect(PARAMETERS)
    dropout_bits: str = 'threefry2x32'
    log_every: int = 10
    validate_every: int = 1000
    checkpoint_every: int = 1000
    keep: int = 2
    best_metric: BestMetric = dataclasses.field(default_factory=BestMetric)
    early_stopping: EarlyStopping | None = None
    initial_checkpoint: str | None = None
    fresh_parameters: Sequence[str] = ()
    trained: Sequence[str] = marks.silent_default(())
    frozen_dtype: str = marks.silent_default('float32')
    profile_steps: tuple[int, int] | None = marks.without_effect(None)

    def __post_init__(self):
        for name in ('steps', 'log_every', 'validate_every', 'checkpoint_every', 'keep'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name}={getattr(self, name)} must be at least 1')
        object.__setattr__(self, 'logical_axis_rules', logical_rules(self.logical_axis_rules))
        # gin hands over lists.
        object.__setattr__(self, 'fresh_parameters', tuple(self.fresh_parameters))
        object.__setattr__(self, 'trained', tuple(self.trained))
        check_trained(self.trained, self.frozen_dtype)
        check_optimizer_sharding(self.optimizer_sharding)
        if self.profile_steps is not None:
            first, last = self.profile_steps
            if not 1 <= first <= last <= self.steps:
                raise ValueError(
                    f'profile_steps={self.profile_steps} must be a first and a last step from 1 to '
                    f'{self.steps}'
                )

    def check_devices(self) -> None:
        """Checks that this run's devices form the mesh and can share a microbatch.

        Raises:
          ValueError: when they do not.
        """
        check_batch(self.mesh.build(), self.logical_axis_rules, self.batch_size // self.microbatches)

    def fit(
        self,
        model: TrainableModel,
        columns: ColumnStore,
        workdir: str | os.PathLike,
        validate: Validate | None = None,
    ) -> TrainResult:
        """Trains, or goes on from the newest checkpoint under `workdir`.

        Args:
          model: the model.
          columns: the training examples.
          workdir: receives `checkpoints/`, `metrics.jsonl`, `validation.jsonl`, `training_time.jsonl` and
            `tensorboard/`.
          validate: parameters (sharded over the mesh) and step to validation metrics.

        Raises:
          ValueError: when the sizes of batch, model and mesh do not fit, the workdir holds another run, or
            parameters are frozen that no checkpoint has.
          CheckpointError: when a checkpoint cannot be read or written, or is of another model.
          DivergedError: when the loss or its gradient is not finite.
        """
        workdir = pathlib.Path(workdir).absolute()
        mesh = self.mesh.build()
        batches = Batches(
            columns,
            self.batch_size,
            self.feature_lengths,
            self.microbatches,
            self.length_buckets,
            self.bucketed_feature,
            self.other_buckets,
            self.seed,
            by_length=not model.in_batch_loss,
        )
        check_batch(mesh, self.logical_axis_rules, batches.microbatch_size)
        self.check_start()
        base = Base.of(self.initial_checkpoint) if self.trained else None
        with contextlib.closing(Checkpoints(workdir / CHECKPOINTS, self.keep, base)) as checkpoints:
            return self._fit(model, batches, workdir, checkpoints, validate, mesh)

    def _fit(
        self,
        model: TrainableModel,
        batches: Batches,
        workdir: pathlib.Path,
        checkpoints: Checkpoints,
        validate: Validate | None,
        mesh: jax.sharding.Mesh,
    ) -> TrainResult:
        rules, optimizer = self.logical_axis_rules, self.optimizer.build()
        placement = batch_sharding(mesh, rules)
        features = {
            shape: {
                name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=placement)
                for name, array in model.convert_features(_blank(batches, shape)).items()
            }
            for shape in batches.shapes
        }
        widest = features[batches.shapes[-1]]
        saved = processes.from_first(checkpoints.steps)
        first = saved[-1] if saved else 0
        # What an example is contrasted with: as much a part of the run as the batch's size.
        contrasted = {'examples_contrasted': batches.microbatch_size} if model.in_batch_loss else {}
        processes.from_first(lambda: self._check_input(workdir, batches, contrasted, first))
        if saved:
            processes.check_visible(checkpoints.path(first))
        # `with mesh:` would turn flax's logical constraints into no-ops under jax.jit.
        with jax.set_mesh(mesh):
            abstract = abstract_state(
                model,
                optimizer,
                widest,
                mesh,
                rules,
                self.optimizer_sharding,
                self.trained,
                self.frozen_dtype,
            )
            if saved:
                state = checkpoints.restore(first, abstract)
                if abstract.frozen:
                    state = state.replace(frozen=restore_frozen(self.initial_checkpoint, abstract))
            elif self.initial_checkpoint is not None:
                whole = abstract.all_params
                paths = drawn_paths(self.initial_checkpoint, whole, self.fresh_parameters, self.trained)
                fresh = drawn_params(model, widest, self.seed, whole, rules, paths)
                params, frozen = split(restore_params(self.initial_checkpoint, whole, fresh), self.trained)
                state = fresh_state(params, optimizer, abstract, frozen)
            else:
                state = initial_state(model, optimizer, widest, self.seed, abstract, rules)
            train_step = compile_step(
                model,
                optimizer,
                abstract,
                features,
                rules,
                self.seed,
                self.dropout_bits,
                microbatches=self.microbatches,
                optimizer_sharding=self.optimizer_sharding,
            )

        size = batches.microbatch_size
        own = rows_of_this_process(placement, size)

        def feed(step: int) -> Feed:
            return [
                (part.shape, place(model.convert_features(part.features), placement, own, size))
                for part in batches.batch(step, own)
            ]

        with contextlib.closing(MetricsLog(workdir, first)) as log:
            flops = FlopsCounter(model, features, [device.device_kind for device in mesh.devices.flat])
            profile = StepProfile(self.profile_steps, workdir / PROFILE)
            loop = Loop(self, train_step, feed, checkpoints, log, validate, flops, profile)
            return loop.run(state, first)

    def check_start(self) -> None:
        """Checks that there is a checkpoint for parameters that are frozen.

        Raises:
          ValueError: when there is none.
        """
        if self.trained and self.initial_checkpoint is None:
            raise ValueError(
                f'Trainer.trained={list(self.trained)} leaves parameters frozen, and nothing says what they '
                'are: name the checkpoint that has them as Trainer.initial_checkpoint'
            )

    def _check_input(
        self, workdir: pathlib.Path, batches: Batches, contrasted: Mapping[str, int], first: int
    ) -> None:
        path = workdir / INPUT
        here = {
            'examples': batches.columns.fingerprint,
            'batch_size': self.batch_size,
            'seed': self.seed,
            'initial_checkpoint': self.initial_checkpoint,
            **contrasted,
        }
        if first and path.exists():
            there = json.loads(files.read_text(path))
            for name, value in here.items():
                if there.get(name) != value:
                    raise ValueError(
                        f'{workdir} holds a run with {name}={there.get(name)!r}, and this one has {value!r}, '
                        f'so it cannot go on with it; use another workdir, or delete {workdir / CHECKPOINTS}'
                    )
        files.write_json(path, here)


def _blank(batches: Batches, shape: Shape) -> dict[str, np.ndarray]:
    widths = batches.padded_lengths(shape)
    return {name: np.zeros((batches.microbatch_size, width), np.int32) for name, width in widths.items()}
