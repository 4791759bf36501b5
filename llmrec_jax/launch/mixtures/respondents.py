"""Who answers which kind of question."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

from llmrec_jax.evaluation.text_answers import CHOICES
from llmrec_jax.launch.mixtures.answering import Answering
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.evaluation_task import (
    ITEM,
    ITEM_OF_CANDIDATES,
    STARS,
    YES_NO_RANKING,
    EvaluationTask,
)
from llmrec_jax.launch.mixtures.item_answers import (
    CandidateLikelihood,
    CandidateSearch,
    ItemAnswers,
    YesProbability,
    candidates_of,
)
from llmrec_jax.launch.mixtures.network import Network
from llmrec_jax.launch.mixtures.questions import Questions
from llmrec_jax.launch.mixtures.text_answers import Answered, ChoiceAnswers, StarAnswers, TextAnswers


@runtime_checkable
class Respondent(Protocol):
    """Answers the questions of one task."""

    def ask(self, questions: Questions) -> Answered:
        """Answers of a batch, on the devices."""

    def read(self, answered: Answered, place: int) -> dict[str, Any]:
        """The answer at one place of the batch, as JSON."""


@dataclasses.dataclass(frozen=True, eq=False)
class Respondents:
    """One network's ways of answering; what is compiled for a kind of answer serves all tasks of the kind.

    Attributes:
      network: who answers.
      catalogue: the items' names.
      answering: which decoder is for what.
    """

    network: Network
    catalogue: Catalogue
    answering: Answering

    def of(self, task: EvaluationTask) -> Respondent:
        """Who answers a task."""
        answering = self.answering
        if task.answer == ITEM:
            decoder = answering.unconstrained
            free = None if decoder is None else TextAnswers(self.network, decoder, answering.seed)
            return ItemAnswers(self.network, answering.items, self.catalogue, free)
        if task.answer == ITEM_OF_CANDIDATES:
            candidates = candidates_of(task.examples)
            if answering.candidates == 'search':
                return CandidateSearch(self.network, answering.items, self.catalogue, candidates)
            return CandidateLikelihood(self.network, self.catalogue, candidates, answering.items.beam_size)
        if task.answer == YES_NO_RANKING:
            return YesProbability.of(self.network)
        texts = TextAnswers(self.network, answering.text_decoder(task.template), answering.seed)
        if task.answer == STARS:
            return StarAnswers.on(texts, task.scale)
        return ChoiceAnswers(texts, CHOICES[task.answer]) if task.answer in CHOICES else texts

    def settings(self, task: EvaluationTask) -> object:
        """What of the configuration decides the answers to a task, for its fingerprint."""
        answering = self.answering
        if task.answer == ITEM:
            return answering.items, answering.unconstrained, answering.seed
        if task.answer == ITEM_OF_CANDIDATES:
            return answering.items, answering.candidates
        if task.answer == YES_NO_RANKING:
            return ()
        if task.answer == STARS:
            return answering.text_decoder(task.template), answering.seed, task.scale
        return answering.text_decoder(task.template), answering.seed
