"""Tasks made of prompt groups, before SeqIO knows of them: what a text-to-text system learns and is asked.

A system's module (`tasks.p5`) makes a `TaskSet` of a corpus; `tasks.prompt_pipeline` registers it with SeqIO,
and the recipe's stages keep its examples. A `TaskSet` needs no TensorFlow.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.prompts.template import Template
from llmrec_jax.subsets import draw_rows

# What forms call an item is the answer's row in the catalogue, or that of the item asked about.
RENAMED = {'item': 'target'}
_TEXTS = ('inputs', 'targets', 'template')


@dataclasses.dataclass(frozen=True, eq=False)
class PromptTask:
    """One SeqIO task: a prompt group over the records of each split.

    Attributes:
      name: SeqIO's name.
      group: templates and form; of one template where the task evaluates.
      records: split -> its records.
      tables: the texts that rows are looked up in.
      answer: name of a kind of answer, see `evaluation.answer_kinds`; None for a task that is trained on.
      seed: of the draws.
      epochs: passes over the records, each with draws of its own, before draws come again.
      candidates: items to choose from, of the answers 'item_of_candidates' and 'yes_no_ranking'. Of the
        latter, each case has so many records, one after the other.
      scale: fewest and most stars, where the answer is 'stars'.
    """

    name: str
    group: PromptGroup
    records: Mapping[str, Records]
    tables: Mapping[str, Sequence[str]]
    seed: int
    answer: str | None = None
    epochs: int = 1
    candidates: int | None = None
    scale: tuple[float, float] | None = None

    @property
    def template(self) -> Template:
        """The template of a task that evaluates."""
        (template,) = self.group.templates
        return template

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """Integer fields beside the tokens.

        `record`, and what the group has of `user` (row), `target` (row of the item to be named or asked
        about), `candidates` (rows), `history` (rows), `level` (of the rating) and `answer` (1 for yes).
        """
        records = next(iter(self.records.values()))
        example = self.example(records[0])
        return ('record', *(RENAMED.get(name, name) for name in example if name not in _TEXTS))

    def examples(self, split: str, epoch: int = 0) -> Iterator[dict[str, Any]]:
        """An epoch in plain Python, as `PromptGroup.examples` gives it."""
        return self.group.examples(self.records[split], self._plain_tables, seed=self.seed, epoch=epoch)

    def example(self, record: Mapping[str, Any], *, epoch: int = 0, repetition: int = 0) -> dict[str, Any]:
        """One example in plain Python, as `PromptGroup.example` gives it."""
        return self.group.example(
            record, self._plain_tables, seed=self.seed, epoch=epoch, repetition=repetition
        )

    def facts(self) -> dict[str, Any]:
        """What who evaluates must know, as JSON."""
        return {
            'task': self.name,
            'family': self.group.family,
            'group': self.group.name,
            'template': self.template.id,
            'held_out': self.template.held_out,
            'answer': self.answer,
            'n_candidates': self.candidates,
            'scale': self.scale,
            'columns': list(self.columns),
        }

    @functools.cached_property
    def _plain_tables(self) -> dict[str, np.ndarray]:
        return tables_for(NUMPY, self.tables)


@dataclasses.dataclass(frozen=True, eq=False)
class TaskSet:
    """All tasks of a system over a corpus.

    Attributes:
      name: what its tasks' and mixtures' names begin with, e.g. 'p5_simulated_shop'.
      training: the tasks that can be trained on.
      rates: of those in the training mixture by name, the examples of an epoch: the share of the mixture.
      evaluation: the tasks that evaluate.
      mixtures: further mixtures by name, each of names of `evaluation`.
      item_names: what each item of the catalogue is called.
      facts: what the corpus did to the tasks, as JSON, for reports.
      vocabulary_examples: about so many examples of `training` are what a vocabulary is learned from.
    """

    name: str
    training: tuple[PromptTask, ...]
    rates: Mapping[str, int]
    evaluation: tuple[PromptTask, ...]
    mixtures: Mapping[str, tuple[str, ...]]
    item_names: Sequence[str]
    facts: Mapping[str, Any]
    vocabulary_examples: int

    @property
    def training_mixture(self) -> str:
        """SeqIO's name of the mixture that is trained on."""
        return f'{self.name}_train'

    @property
    def epoch_size(self) -> int:
        """Examples in an epoch of the training mixture."""
        return sum(self.rates.values())

    def task(self, name: str) -> PromptTask:
        """The task of that name.

        Raises:
          ValueError: when there is none.
        """
        known = {task.name: task for task in (*self.training, *self.evaluation)}
        if name not in known:
            raise ValueError(f'{self.name} has no task {name!r}; it has {", ".join(sorted(known))}')
        return known[name]

    def training_texts(self) -> Iterator[str]:
        """Inputs and targets of training, by the mixture's rates: what a vocabulary is learned from."""
        epoch = sum(task.group.rate * len(task.records['train']) for task in self.training)
        share = min(1.0, self.vocabulary_examples / epoch)
        for task in self.training:
            records = task.records['train']
            for record in drawn(records, math.ceil(share * len(records)), task.seed):
                for repetition in range(task.group.rate):
                    example = task.example(record, repetition=repetition)
                    yield example['inputs']
                    yield example['targets']


def drawn(records: Records, most: int | None, seed: int) -> Records:
    """At most `most` of the records, drawn by `seed` and kept in their order; None for all."""
    return records.take(draw_rows(len(records), most, seed))
