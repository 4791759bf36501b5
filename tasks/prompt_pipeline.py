"""The SeqIO side of tasks made of prompts; importing it imports TensorFlow."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import seqio
import tensorflow as tf

from llmrec_jax.evaluation.answer_kinds.items import Item, ItemOfCandidates
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.prompts.tf_prompts import TENSORFLOW, prompt_examples, records_dataset
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import MODEL
from tasks.content_digest import content_digest
from tasks.prompt_tasks import RENAMED, PromptTask, TaskSet
from tasks.registration import add_mixture, add_task
from tasks.text_metrics import metric_fns

VOCABULARY = 'vocabulary'
FEATURES = ('inputs', 'targets')


def register_over(tasks: Any) -> TaskSet:
    """Builds `tasks` and registers them with the vocabulary of their workdir, made there if there is none.

    Args:
      tasks: what a `TaskSet` is built of; see `tasks.p5.P5Tasks`.
    """
    task_set = tasks.build()
    folder = pathlib.Path(tasks.workdir, VOCABULARY)
    source = tasks.vocabulary
    if (folder / MODEL).exists():
        vocabulary = source.load_at(folder)
    else:
        vocabulary = source.make_at(folder, task_set.training_texts())
    register(task_set, vocabulary)
    return task_set


def register(task_set: TaskSet, vocabulary: TextVocabulary) -> None:
    """Adds the tasks and mixtures to SeqIO's registries.

    Raises:
      ValueError: when other tasks or mixtures bear their names (see `registration.forget`).
    """
    # SeqIO compares the vocabularies of a mixture's tasks, so that one object serves all.
    feature = seqio.Feature(vocabulary=vocabulary.seqio(), add_eos=True, dtype=tf.int32)
    features = dict.fromkeys(FEATURES, feature)
    of_tables = functools.cache(lambda key: tables_for(TENSORFLOW, tables[key]))
    item_names = [vocabulary.normalized(name) for name in task_set.item_names]
    tables = {id(task.tables): task.tables for task in (*task_set.training, *task_set.evaluation)}
    shared = {key: content_digest(table, item_names) for key, table in tables.items()}
    for task in (*task_set.training, *task_set.evaluation):
        identity = content_digest(
            shared[id(task.tables)],
            dataclasses.replace(task, tables={}),
            (vocabulary.fingerprint, vocabulary.extra_ids),
        )
        _register(task, identity, of_tables(id(task.tables)), features, vocabulary, item_names)
    add_mixture(task_set.training_mixture, task_set.rates)
    for name, members in task_set.mixtures.items():
        add_mixture(name, dict.fromkeys(members, 1))


def _register(
    task: PromptTask,
    identity: str,
    tables: Mapping[str, Any],
    features: Mapping[str, seqio.Feature],
    vocabulary: TextVocabulary,
    item_names: Sequence[str],
) -> None:
    def epochs(split: str) -> int:
        return task.epochs if split == 'train' else 1

    def dataset(split: str, shuffle_files: bool = False, seed: int | None = None) -> tf.data.Dataset:
        return records_dataset(task.records[split], epochs(split))

    add_task(
        task.name,
        identity,
        source=seqio.FunctionDataSource(
            dataset,
            splits=tuple(task.records),
            num_input_examples={
                split: epochs(split) * len(records) for split, records in task.records.items()
            },
        ),
        preprocessors=[
            functools.partial(prompt_examples, group=task.group, tables=tables, seed=task.seed),
            seqio.map_over_dataset(_renamed),
            seqio.preprocessors.tokenize,
            # What follows depends on lengths that are told when examples are read.
            seqio.CacheDatasetPlaceholder(),
            count_cut,
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features=features,
        # Vocabularies read a name or a sentence back as they normalized it.
        postprocess_fn=functools.partial(
            _normalized, vocabulary=vocabulary, ranked=task.answer in (Item.name, ItemOfCandidates.name)
        ),
        metric_fns=[] if task.answer is None else _metric_fns(task, item_names),
    )


def _metric_fns(task: PromptTask, item_names: Sequence[str]) -> list[Callable[..., dict[str, float]]]:
    scale = {} if task.scale is None else {'scale': task.scale}
    return metric_fns(task.answer, item_names=item_names, candidates=task.candidates, **scale)


def _normalized(
    answer: str | list[str],
    *,
    vocabulary: TextVocabulary,
    ranked: bool,
    is_target: bool = False,
    **_: Any,
) -> str | list[str]:
    """SeqIO's postprocessor of a target, a prediction or its beams; one prediction alone is a list of one."""
    if not isinstance(answer, str):
        return [vocabulary.normalized(text).strip() for text in answer]
    text = vocabulary.normalized(answer).strip()
    return [text] if ranked and not is_target else text


def _renamed(example: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {RENAMED.get(name, name): value for name, value in example.items()}


def count_cut(
    dataset: tf.data.Dataset,
    output_features: Mapping[str, seqio.Feature],
    sequence_length: Mapping[str, int] | None = None,
) -> tf.data.Dataset:
    """Adds `inputs_cut` and `targets_cut`: how many tokens have no room before the end-of-sequence token.

    `append_eos_after_trim` drops these from the end; 0 where there is no `sequence_length`.
    """

    def count(example):
        lost = {}
        for name in output_features:
            room = None if sequence_length is None else sequence_length.get(name)
            tokens = tf.size(example[name])
            lost[f'{name}_cut'] = tf.constant(0) if room is None else tf.maximum(tokens - (room - 1), 0)
        return {**example, **lost}

    return dataset.map(count, num_parallel_calls=tf.data.AUTOTUNE)
