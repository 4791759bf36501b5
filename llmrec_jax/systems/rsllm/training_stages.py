"""Stages before training: the recommender and its vectors, vocabulary and prompts, and the start."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import flax.core
import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax import marks
from llmrec_jax.corpora.splits import Splits
from llmrec_jax.models.injected_decoder import InjectedDecoderModel
from llmrec_jax.models.injected_decoder.model import ITEMS
from llmrec_jax.models.injected_decoder.network import PROJECTOR, TABLE, TEMPERATURES
from llmrec_jax.models.transfer.frozen_tables import filled_table
from llmrec_jax.runs.artifact import Artifact, array_artifact, place
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages import tasks
from llmrec_jax.stages.catalogue_ranking import CatalogueRetrieval
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS, CaseDraw
from llmrec_jax.stages.networks import Parameters, abstract_parameters
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, vocabulary
from llmrec_jax.stages.rank import trained
from llmrec_jax.stages.train import TrainApart
from llmrec_jax.systems.rsllm.prompts import (
    Curriculum,
    Features,
    PromptForm,
    Prompts,
    draw_items,
    item_names,
    training_examples,
)
from llmrec_jax.text.vocabulary_sources import VocabularySource
from llmrec_jax.training import processes
from llmrec_jax.training.column_writer import Block, ColumnWriter
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.parameter_restore import fresh_paths, named_leaves, restore_params
from llmrec_jax.training.start_checkpoint import write_parameters
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer

# The name of a stage, and of the folder that it trains in.
RECOMMENDER = 'recommender'
# Row `i` is of item `i`; float32 [items, dim].
VECTORS: Artifact[np.ndarray] = array_artifact('recommender_items.npy')
START = place('start/checkpoint_0')
ROWS_AT_ONCE = 4096


def prompt_examples(split: str) -> Artifact[ColumnStore]:
    """The prompts of training, or those that validate."""
    return tasks.examples(split, 'prompts')


@dataclasses.dataclass(frozen=True)
class TrainRecommender(TrainApart):
    """Trains the recommender whose vectors the prompts hold; see `TrainApart`."""

    name: ClassVar[str] = RECOMMENDER
    examples: ClassVar[Artifact[ColumnStore]] = tasks.examples('train')
    writes: ClassVar = (place(f'{RECOMMENDER}/{CHECKPOINTS}'),)


@dataclasses.dataclass(frozen=True)
class RecommenderParameters(Parameters):
    """The parameters that the recommender answers with; attributes as in `Parameters`."""

    trained_by: ClassVar[str] = RECOMMENDER


@dataclasses.dataclass(frozen=True)
class KeepVectors(Stage):
    """Keeps the recommender's vectors of all items.

    Attributes:
      retrieval: how the recommender answers.
    """

    retrieval: CatalogueRetrieval
    name: ClassVar[str] = 'vectors'
    phase: ClassVar[Phase] = 'prepare'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (VECTORS,)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (*self.retrieval.reads, *self.retrieval.parameters.reads)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        vectors = trained(self.retrieval, run).item_vectors()[: len(run[CATALOGUE])]
        if processes.is_first():
            run.put(VECTORS, vectors)
        return {'dim': int(vectors.shape[1]), 'mean_norm': float(np.linalg.norm(vectors, axis=1).mean())}


@dataclasses.dataclass(frozen=True)
class MakePromptVocabulary(Stage):
    """Names the items, and puts the vocabulary into the workdir, trained on names where it is no public one.

    Attributes:
      source: of the vocabulary.
      form: of the prompts.
      room: rows of the network's embedding, which must hold all tokens.
    """

    source: VocabularySource
    form: PromptForm
    room: int = marks.without_effect()
    name: ClassVar[str] = 'vocabulary'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (CATALOGUE,)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (ITEM_NAMES, vocabulary(self.source))

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        names = item_names(run[CATALOGUE], self.form.max_characters)
        run.put(ITEM_NAMES, names)
        made = self.source.make_at(run.path(vocabulary(self.source)), itertools.chain(names, self.form.texts))
        if made.size > self.room:
            raise ValueError(
                f'the vocabulary has {made.size} tokens, but the network has room for {self.room}: raise '
                'DecoderConfig.vocab_size'
            )
        # An error of the placeholder is told before anything is trained.
        token = Prompts(self.form, names, made).placeholder
        return {'size': made.size, 'fingerprint': made.fingerprint, 'placeholder': token}


def prompts_of(run: Run, form: PromptForm, source: VocabularySource) -> Prompts:
    """The run's prompts."""
    return Prompts(form, run[ITEM_NAMES], run[vocabulary(source)])


@dataclasses.dataclass(frozen=True)
class WritePrompts(Stage):
    """Writes the prompts of all steps in the order in which they are trained on, and those that validate.

    Attributes:
      form: of the prompts.
      source: of the vocabulary.
      curriculum: which share of them hold vectors.
      examples: of all steps.
      order_seed: of the trainer, by which the order is drawn.
      draw: who validates.
      feature_lengths: tokens of each feature at most.
    """

    form: PromptForm
    source: VocabularySource
    curriculum: Curriculum
    examples: int
    order_seed: int
    draw: CaseDraw
    feature_lengths: Mapping[str, int]
    name: ClassVar[str] = 'prompts'
    phase: ClassVar[Phase] = 'prepare'
    writes: ClassVar = (prompt_examples('train'), prompt_examples('validation'))

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (SPLITS, ITEM_NAMES, vocabulary(self.source))

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        prompts, splits = prompts_of(run, self.form, self.source), run[SPLITS]
        of_training = training_examples(
            prompts, splits.train, self.curriculum, self.examples, self.order_seed
        )
        stores = {
            'train': self._written(run, 'train', of_training),
            'validation': self._written(run, 'validation', self._validating(prompts, splits)),
        }
        with_vectors = stores['train'].lengths(ITEMS) > 0
        return {
            'examples': {split: len(store) for split, store in stores.items()},
            'with_vectors': float(with_vectors.mean()),
            'mean_input_tokens': float(stores['train'].lengths('inputs').mean()),
        }

    def _validating(self, prompts: Prompts, splits: Splits) -> Iterator[Features]:
        """Asked as the trained model is asked, whatever it begins with."""
        cases, with_vectors = self.draw.cases(splits, 'validation'), self.curriculum.share(1.0) > 0
        for row in range(len(cases)):
            user, target = int(cases.user[row]), int(cases.target[row])
            rng = np.random.default_rng((self.draw.seed, user))
            known = np.append(splits.train[user], target)
            drawn = draw_items(rng, len(prompts.names), known, prompts.form.candidates - 1)
            shown = rng.permutation(np.append(drawn, target))
            yield prompts.example(cases.histories[row], shown, target, with_vectors)

    def _written(self, run: Run, split: str, examples: Iterator[Features]) -> ColumnStore:
        artifact = prompt_examples(split)
        with ColumnWriter(run.path(artifact), tuple(self.feature_lengths)) as writer:
            while rows := list(itertools.islice(examples, ROWS_AT_ONCE)):
                writer.append({name: self._block(name, rows) for name in self.feature_lengths})
            writer.finish({'stage': run.fingerprint, 'split': split})
        return run[artifact]

    def _block(self, name: str, rows: Sequence[Features]) -> Block:
        lengths = np.asarray([len(row[name]) for row in rows], np.int64)
        if (longest := int(lengths.max())) > self.feature_lengths[name]:
            raise ValueError(
                f'a prompt has {longest} tokens of {name!r}, and Trainer.feature_lengths has room for '
                f'{self.feature_lengths[name]}: raise it, or lower PromptForm.max_history or candidates'
            )
        return Block(np.concatenate([row[name] for row in rows]), lengths)


@dataclasses.dataclass(frozen=True)
class InjectedNetwork:
    """An injected decoder, completed by the recommender's vectors and the vocabulary; see `networks.Network`.

    Attributes:
      recipe: the model, which names no catalogue.
      form: of the prompts.
      source: of the vocabulary.
    """

    recipe: InjectedDecoderModel
    form: PromptForm
    source: VocabularySource
    codes: ClassVar = None

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `networks.Network`."""
        return (VECTORS, ITEM_NAMES, vocabulary(self.source))

    def model(self, run: Run) -> InjectedDecoderModel:
        """See `networks.Network`."""
        n_items, dim = run[VECTORS].shape
        return self.recipe.for_catalogue(n_items, dim, prompts_of(run, self.form, self.source).placeholder)

    def trained_part(self) -> Any:
        """See `networks.Network`."""
        return self


@dataclasses.dataclass(frozen=True)
class WriteDecoderStart(Stage):
    """Writes what training starts from: drawn parameters or a pretrained decoder's, and the table of vectors.

    Attributes:
      network: of the system.
      seed: of what is drawn.
      pretrained: a checkpoint of a decoder alone; None for drawn parameters.
      trainer: which shards them.
    """

    network: InjectedNetwork
    seed: int
    pretrained: str | None
    trainer: Trainer = marks.without_effect()
    name: ClassVar[str] = 'start'
    phase: ClassVar[Phase] = 'prepare'
    on_all: ClassVar[bool] = True
    writes: ClassVar = (START,)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return self.network.reads

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        model = self.network.model(run)
        shapes = {'decoder_input_tokens': (1, 2), ITEMS: (1, 1)}
        drawn = jax.jit(lambda: model.get_initial_variables(jax.random.key(self.seed), shapes)['params'])()
        params = flax.core.unfreeze(jax.tree.map(np.asarray, drawn))
        params[TABLE] = filled_table(run[VECTORS])
        if self.pretrained is not None:
            abstract = abstract_parameters(model, self.trainer)
            names = [name for name in (TABLE, PROJECTOR, TEMPERATURES) if name in params]
            leaves = named_leaves(params)
            fresh = {path: jnp.asarray(leaves[path]) for path in fresh_paths(abstract, names)}
            params = jax.tree.map(np.asarray, restore_params(self.pretrained, abstract, fresh))
        write_parameters(params, run.path(START).parent)
        return {'pretrained': self.pretrained}
