"""P5's tasks over a corpus (Geng et al., 2022): five families in one mixture, each template asked by itself.

Registering them is making `P5Tasks` and calling `register`:

    tasks = P5Tasks(
        corpus=SimulatedShop(size='tiny'), data_dir='data', workdir='runs/p5', vocabulary=TrainedVocabulary(),
        p5=P5(prompts=P5Prompts(candidates=20)),
    )
    tasks.register().mixtures  # 'p5_simulated_shop_eval', 'p5_simulated_shop_zero_shot'

| name | is |
|---|---|
| `p5_<corpus>_train_<group>` | the task that trains a group of templates, those held out left out |
| `p5_<corpus>_train` | the mixture of these, by P5's rates |
| `p5_<corpus>_<family>_<template>` | evaluates a template, e.g. `p5_simulated_shop_rating_1_6` |
| `p5_<corpus>_eval` | the mixture of those in `evaluated`, seen templates and held-out ones |
| `p5_<corpus>_zero_shot` | the mixture of held-out templates, and with `transfer_to` of Z-1 to Z-7 |

TensorFlow is imported when tasks are registered or a corpus is read, not when they are configured.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmrec_jax import marks
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.evaluation.answer_kinds.items import Item, ItemOfCandidates, YesNoRanking
from llmrec_jax.evaluation.answer_kinds.words import Like, Sentence, Stars, YesNo
from llmrec_jax.prompts.p5 import direct
from llmrec_jax.prompts.p5.data import AS_RANKING, P5, P5Data, TransferData
from llmrec_jax.prompts.records.histories import asked_candidates
from llmrec_jax.prompts.template import Template, parse
from tasks.prompt_tasks import PromptTask, TaskSet, drawn
from tasks.task_names import in_letters

if TYPE_CHECKING:
    from llmrec_jax.corpora.corpus import Corpus
    from llmrec_jax.corpora.source import CorpusSource

# A seen template of each group and kind of answer, and the held-out one where there is one (P5, section 5).
EVALUATED = (
    '1-6', '1-8', '1-9', '1-10', '2-3', '2-13', '2-8', '2-11', '3-3', '3-9', '3-12', '4-1', '4-2', '4-4',
    '5-1', '5-4', '5-5', '5-8',
)  # fmt: skip
# A field of a target to the kind of answer that it makes.
_ANSWERS = {
    'stars': Stars.name,
    'whole_stars': Stars.name,
    'yes_no': YesNo.name,
    'like': Like.name,
    'explanation': Sentence.name,
    'headline': Sentence.name,
    'item': Item.name,
}


def _identity_if_any(source: 'CorpusSource | None') -> Any:
    return None if source is None else identity(source)


@dataclasses.dataclass(frozen=True)
class P5Tasks:
    """P5 over a corpus.

    Attributes:
      corpus: where events, items and users come from.
      data_dir: where the corpus is prepared.
      workdir: holds the vocabulary.
      vocabulary: from text to tokens and back.
      p5: prompts, naming schemes and splits.
      seed: of every draw.
      split: what of the corpus is held out.
      epochs: passes over the training records, each with draws of its own, before draws come again.
      feature_lengths: tokens of inputs and targets; longer ones are cut, but for the end-of-sequence token.
      transfer_to: the corpus whose items users meet zero-shot (Z-1 to Z-7); None for none.
      families: those in the mixture that is trained on; None for all. The vocabulary is learned from all in
        any case, so that a family trained alone reads as it does among others.
      vocabulary_examples: about so many training examples are what a vocabulary is learned from.
      evaluated: ids of the templates in the mixture `p5_<corpus>_eval`.
      cases: most records that a task evaluates, drawn by `seed`; None for all of the split.
      ranked_cases: likewise of the tasks that rank candidates by 'yes', which ask about each of them.
    """

    corpus: 'CorpusSource' = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    workdir: str = marks.without_effect()
    vocabulary: Any
    p5: P5 = dataclasses.field(default_factory=P5)
    seed: int = 0
    epochs: int = 1
    feature_lengths: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {'inputs': 512, 'targets': 64}
    )
    transfer_to: 'CorpusSource | None' = marks.described_by(_identity_if_any, None)
    families: tuple[str, ...] | None = None
    vocabulary_examples: int = 20_000
    evaluated: tuple[str, ...] = EVALUATED
    cases: int | None = 1000
    ranked_cases: int | None = 100
    split: SplitRule = marks.silent_default(LEAVE_LAST_OUT)

    def __post_init__(self):
        known = {template.id for template in self.p5.prompts.templates}
        unknown = [name for name in self.evaluated if name not in known]
        if unknown:
            raise ValueError(f'P5Tasks.evaluated names {unknown[0]!r}; the templates are {sorted(known)}')
        if set(self.feature_lengths) != {'inputs', 'targets'} or min(self.feature_lengths.values()) < 2:
            raise ValueError(
                f"P5Tasks.feature_lengths must give 'inputs' and 'targets' two tokens or more, not "
                f'{dict(self.feature_lengths)}'
            )
        for field in ('epochs', 'vocabulary_examples', 'cases', 'ranked_cases'):
            if getattr(self, field) is not None and getattr(self, field) < 1:
                raise ValueError(f'P5Tasks.{field}={getattr(self, field)} must be at least 1')

    @property
    def name(self) -> str:
        """What the names of all tasks and mixtures begin with."""
        # The shop is one corpus in several sizes.
        corpus = 'simulated_shop' if isinstance(self.corpus, SimulatedShop) else self.corpus.name
        return f'p5_{in_letters(corpus.lower())}'

    def build(self) -> TaskSet:
        """Reads the corpora, preparing them where they are not, and makes the tasks.

        Raises:
          FileNotFoundError, ValueError: as the sources and `P5.build` raise them.
        """
        from llmrec_jax.corpora.prepare import prepared_corpus

        corpora = [
            None if source is None else prepared_corpus(source, self.data_dir)
            for source in (self.corpus, self.transfer_to)
        ]
        return self.build_over(*corpora)

    def build_over(self, corpus: 'Corpus', transfer_to: 'Corpus | None' = None) -> TaskSet:
        """The tasks over a corpus in memory.

        Raises:
          ValueError: as `P5.build` and `P5.transfer` raise it.
        """
        data = self.p5.build(corpus, self.split)
        training = tuple(
            PromptTask(
                name=f'{self.name}_train_{name}',
                group=group,
                records={split: records[name] for split, records in data.records.items() if name in records},
                tables=data.tables,
                seed=self.seed,
                epochs=self.epochs,
            )
            for name, group in data.training_groups.items()
        )
        evaluation = self._evaluation(data)
        if transfer_to is not None:
            evaluation += self._transfer(self.p5.transfer(corpus, transfer_to, self.split))
        held_out = tuple(task.name for task in evaluation if task.template.held_out)
        return TaskSet(
            name=self.name,
            training=training,
            rates=self._rates(data),
            evaluation=evaluation,
            mixtures={
                f'{self.name}_eval': tuple(
                    task.name for task in evaluation if task.template.id in self.evaluated
                ),
                **({f'{self.name}_zero_shot': held_out} if held_out else {}),
            },
            item_names=data.tables['item'],
            facts={
                'left_out': dict(data.left_out),
                'overlap': dataclasses.asdict(data.overlap),
                'naming': type(self.p5.item_naming).__name__,
                'names_leak': self.p5.item_naming.leaks,
                'review_split': self._review_split,
            },
            vocabulary_examples=self.vocabulary_examples,
        )

    def register(self) -> TaskSet:
        """Adds tasks and mixtures to SeqIO's registries.

        The vocabulary is the one in the workdir; it is trained where there is none.

        Raises:
          ValueError: when others bear their names, as those of another shop or of other settings do; see
            `tasks.registration.forget`.
        """
        from tasks import prompt_pipeline

        return prompt_pipeline.register_over(self)

    @property
    def _review_split(self) -> str:
        """What the families of reviews are split by."""
        return self.split.name if self.p5.review_split == AS_RANKING else self.p5.review_split

    def _rates(self, data: P5Data) -> dict[str, int]:
        families = {group.family for group in data.training_groups.values()}
        chosen = families if self.families is None else set(self.families)
        if absent := sorted(chosen - families):
            raise ValueError(
                f'P5Tasks.families names {absent[0]!r}, of which the corpus has no training records; it has '
                f'those of {", ".join(sorted(families))}'
            )
        return {
            f'{self.name}_train_{name}': examples
            for name, examples in data.epoch_sizes().items()
            if data.training_groups[name].family in chosen
        }

    def _evaluation(self, data: P5Data) -> tuple[PromptTask, ...]:
        splits = {split: records for split, records in data.records.items() if split != 'train'}
        tasks = []
        for name, group in data.evaluation_groups.items():
            ranking = name == 'direct_yes_no'
            most = self.ranked_cases if ranking else self.cases
            records = {
                split: drawn(of_groups[name], most, self.seed)
                for split, of_groups in splits.items()
                if name in of_groups
            }
            if ranking:
                group = direct.asked(group)
                records = {
                    split: asked_candidates(
                        cases,
                        len(data.tables['item']),
                        candidates=self.p5.prompts.candidates,
                        seed=self.seed,
                    )
                    for split, cases in records.items()
                }
            for template in group.templates:
                answer = YesNoRanking.name if ranking else _answer(template)
                tasks.append(
                    PromptTask(
                        name=self._task_name(template),
                        group=group.only([template.id]),
                        records=records,
                        tables=data.tables,
                        seed=self.seed,
                        answer=answer,
                        candidates=self.p5.prompts.candidates
                        if answer in (YesNoRanking.name, ItemOfCandidates.name)
                        else None,
                        scale=self._scale(answer),
                    )
                )
        return tuple(tasks)

    def _transfer(self, data: TransferData) -> tuple[PromptTask, ...]:
        records = {'test': drawn(data.records, self.cases, self.seed)}
        return tuple(
            PromptTask(
                name=self._task_name(template),
                group=data.group.only([template.id]),
                records=records,
                tables=data.tables,
                seed=self.seed,
                answer=_answer(template),
                scale=self._scale(_answer(template)),
            )
            for template in data.group.templates
        )

    def _scale(self, answer: str) -> tuple[float, float] | None:
        scale = self.p5.prompts.scale
        return (scale.lowest, scale.highest) if answer == Stars.name else None

    def _task_name(self, template: Template) -> str:
        return f'{self.name}_{template.family}_{template.id.replace("-", "_")}'


def _answer(template: Template) -> str:
    """The kind of the answer that the template's target is.

    Raises:
      ValueError: when the target names no field of an answer.
    """
    fields = [piece.field for piece in parse(template.targets)]
    if template.group == 'candidates':
        return ItemOfCandidates.name
    for field in ('explanation', *fields):
        if field in fields and field in _ANSWERS:
            return _ANSWERS[field]
    raise ValueError(
        f'template {template.id!r}: its target names none of {", ".join(_ANSWERS)}, so what a right answer '
        'is cannot be told'
    )
