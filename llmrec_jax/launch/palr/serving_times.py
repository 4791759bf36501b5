"""How long users wait for PALR: until the first token of the answer, and until its list is written."""

import dataclasses
from typing import Any

from llmrec_jax.evaluation.serving import Serving, timed_requests
from llmrec_jax.launch.mixtures.network import Network
from llmrec_jax.launch.mixtures.questions import QuestionBatches, Questions, drawn_rows
from llmrec_jax.launch.mixtures.text_answers import Answered, TextAnswers
from llmrec_jax.launch.palr.workspace import PalrWorkspace
from llmrec_jax.prompts.palr.templates import RECOMMEND_RETRIEVAL


def serving_times(workspace: PalrWorkspace) -> dict[str, Any]:
    """Times batches of questions with candidates; every process of a run takes part.

    The first token is timed by a decoder that stops behind it, which reads the prompt like the whole one.
    """
    recipe = workspace.recipe
    answering = recipe.answering
    network = Network(workspace.model, workspace.params, workspace.vocabulary)
    examples = workspace.examples(recipe.tasks.evaluated(RECOMMEND_RETRIEVAL), 'test')
    asked = drawn_rows(len(examples), recipe.timed_requests * answering.batch_size, answering.seed)
    length = recipe.tasks.feature_lengths['inputs']
    batches: list[Questions] = list(
        QuestionBatches(examples, asked, answering.batch_size, length, answering.length_buckets).after(0)
    )

    def timed(decoder: Any) -> Any:
        answers = TextAnswers(network, decoder, answering.seed)

        def request(number: int) -> Answered:
            return answers.ask(batches[number % len(batches)])

        return timed_requests(
            request, recipe.timed_requests, users=answering.batch_size, warm_up=len(batches)
        )

    one_token = dataclasses.replace(answering.text, max_length=1)
    return {recipe.name: Serving(timed(one_token), timed(answering.text)).as_dict()}
