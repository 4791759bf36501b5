"""Stages of a text-to-text recipe: vocabulary, tasks, training; the corpus is prepared as in any recipe."""

import functools
import json
import logging
from typing import TYPE_CHECKING, Any

from llmrec_jax.files import text_written_whole, write_json
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.text_workspace import TextWorkspace
from llmrec_jax.launch.train_stage import trained_part, training_stage
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnError, ColumnStore
from llmrec_jax.training.loop import Validate
from llmrec_jax.training.validation_loss import ValidationLoss

if TYPE_CHECKING:
    from tasks.prompt_tasks import PromptTask

LOG = logging.getLogger(__name__)
EVALUATED_SPLITS = ('test',)
TRAIN_SHARDS = 16


def vocabulary_stage(workspace: TextWorkspace) -> Stage:
    """Puts the vocabulary into the workdir, trained on the training prompts where it is not a public one."""
    tasks = workspace.recipe.tasks

    def action(_: str) -> dict:
        vocabulary = tasks.vocabulary.make_at(workspace.vocabulary_dir, workspace.task_set.training_texts())
        room = workspace.recipe.model.module.config.vocab_size
        if vocabulary.size > room:
            raise ValueError(
                f'the vocabulary has {vocabulary.size} tokens, but the network has room for {room}: '
                'raise T5Config.vocab_size'
            )
        return {'size': vocabulary.size, 'fingerprint': vocabulary.fingerprint}

    config = (tasks.vocabulary, tasks.identity())
    return Stage('vocabulary', ('corpus',), config, ('vocabulary',), action)


def tasks_stage(workspace: TextWorkspace) -> Stage:
    """Runs the SeqIO tasks and keeps their examples: the training mixture's, and each task's that evaluates.

    A killed run goes on with the first task that is not complete.
    """
    recipe = workspace.recipe

    def action(fingerprint: str) -> dict:
        from tasks import prompt_pipeline

        tasks = workspace.task_set
        prompt_pipeline.register(tasks, workspace.vocabulary)
        kept = functools.partial(_kept, workspace, fingerprint)
        mixture, total = workspace.training_mixture, recipe.tasks.epochs * tasks.epoch_size
        stores = {
            'train': kept(mixture, 'train', (), examples=total, num_shards=TRAIN_SHARDS),
            'validation': kept(mixture, 'validation', (), examples=recipe.validation_examples),
        }
        for name in dict.fromkeys(name for names in tasks.mixtures.values() for name in names):
            task = tasks.task(name)
            for split in EVALUATED_SPLITS:
                stores[f'{name}/{split}'] = kept(name, split, task.columns)
                _write_references(workspace, task, split)
            write_json(workspace.task_dir(name) / 'task.json', task.facts())
        write_json(workspace.item_names_path, list(tasks.item_names))
        write_json(workspace.mixtures_path, {mixture: [mixture], **tasks.mixtures})
        cut = {name: _cut(store) for name, store in stores.items()}
        for name, features in cut.items():
            for feature, counted in features.items():
                LOG.warning(
                    '%s: %d of %d rows have %s longer than %d tokens and are cut there, %d tokens in all: '
                    'raise the feature lengths, or shorten titles, reviews, histories or candidates',
                    name, counted['rows'], len(stores[name]), feature, recipe.tasks.feature_lengths[feature],
                    counted['total'],
                )  # fmt: skip
        return {
            'mixtures': {name: list(names) for name, names in tasks.mixtures.items()},
            'examples': {name: len(store) for name, store in stores.items()},
            'epoch': dict(tasks.rates),
            'mean_input_tokens': float(stores['train'].lengths('inputs').mean()),
            'cut': {name: features for name, features in cut.items() if features},
            **tasks.facts,
        }

    config = (recipe.tasks.identity(), recipe.validation_examples, recipe.seed)
    outputs = ('tasks/mixtures.json', 'item_names.json')
    return Stage('tasks', ('corpus', 'vocabulary'), config, outputs, action)


def text_train_stage(workspace: TextWorkspace) -> Stage:
    """Trains the recipe's model on the mixture, validated by the loss on what the mixture holds out."""
    mixture = workspace.training_mixture
    return training_stage(
        workspace,
        trained_part(workspace.recipe.model),
        (),
        lambda: workspace.examples(mixture, 'train'),
        lambda: _validation(workspace),
    )


def _validation(workspace: TextWorkspace) -> Validate:
    trainer = workspace.recipe.trainer
    batches = Batches(
        workspace.examples(workspace.training_mixture, 'validation'),
        trainer.batch_size,
        trainer.feature_lengths,
        trainer.microbatches,
        trainer.length_buckets,
        trainer.bucketed_feature,
        trainer.other_buckets,
    )
    return ValidationLoss(workspace.model, batches, trainer.mesh.build(), trainer.logical_axis_rules)


def _kept(
    workspace: TextWorkspace, fingerprint: str, name: str, split: str, columns: tuple[str, ...], **how: Any
) -> ColumnStore:
    """The examples of a task or mixture: those that a killed run of this very stage left, or made now."""
    from llmrec_jax.stages.materialise import materialise

    directory = workspace.examples_dir(name, split)
    try:
        store = ColumnStore.open(directory)
        if store.manifest['provenance'].get('stage') == fingerprint:
            return store
    except ColumnError:
        pass
    LOG.info('materialising %s, %s', name, split)
    return materialise(
        name,
        split,
        directory,
        feature_lengths=workspace.recipe.tasks.feature_lengths,
        kept=columns,
        tallied=('inputs_cut', 'targets_cut'),
        provenance={'stage': fingerprint},
        seed=workspace.recipe.seed,
        **how,
    )


def _write_references(workspace: TextWorkspace, task: 'PromptTask', split: str) -> None:
    with text_written_whole(workspace.references_path(task.name, split)) as file:
        for example in task.examples(split):
            file.write(json.dumps(example['targets'], ensure_ascii=False) + '\n')


def _cut(store: ColumnStore) -> dict[str, dict[str, int]]:
    """Feature to how many rows are cut and how many tokens they lose, of features that are cut."""
    tallies = store.manifest['provenance']['tallies']
    named = {feature: tallies[f'{feature}_cut'] for feature in ('inputs', 'targets')}
    return {feature: counted for feature, counted in named.items() if counted['rows']}
