"""A text-to-text recipe made ready for T5X: its mixture registered, its answers generated as text."""

import dataclasses
import functools

import seqio

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.t5x.driven_model import trainable
from llmrec_jax.t5x.prepared_run import PreparedRun
from llmrec_jax.training.columns import ColumnStore


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedTextRun(PreparedRun):
    """A text-to-text recipe and the folder of its run; see `PreparedRun`."""

    @functools.cached_property
    def task(self) -> str:
        """SeqIO's name of the mixture that is trained on, registered in this process with all others."""
        from tasks import prompt_pipeline

        prompt_pipeline.register(self.workspace.task_set, self.workspace.vocabulary)
        return self.workspace.training_mixture

    @functools.cached_property
    def model(self) -> EncoderDecoderModel:
        """The recipe's model with optimizer and vocabularies, answering every task by its text decoder.

        So T5X's evaluator is given one text for an item, which may be any; the search over the catalogue is
        for `python -m llmrec_jax.evaluate`.
        """
        features = seqio.get_mixture_or_task(self.task).output_features
        return dataclasses.replace(
            trainable(self.workspace.model, self.recipe.trainer),
            input_vocabulary=features['inputs'].vocabulary,
            output_vocabulary=features['targets'].vocabulary,
            decode_fn=self.recipe.answering.text,
            return_all_decodes=False,
        )

    def examples(self, split: str) -> ColumnStore:
        """The materialised examples of the mixture."""
        return self.workspace.examples(self.workspace.training_mixture, split)


def evaluated(run: PreparedTextRun) -> str:
    """T5X's `mixture_or_task_name` of what is evaluated by inference."""
    # Asking for the name of the one registers the other.
    assert run.task
    return run.recipe.mixture_or_task_name


def decoding_batch_size(run: PreparedTextRun) -> int:
    """Examples decoded at once."""
    return run.recipe.answering.batch_size
